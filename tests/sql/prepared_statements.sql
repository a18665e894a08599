-- What the session has prepared.
select count(*) from pg_prepared_statements;
prepare one as select 1;
prepare two (int, text[]) as select $1 + 1, $2[1];
select name, rtrim(statement, ';') as statement, parameter_types, from_sql, prepare_time <= now() + interval '1 minute' as is_past from pg_prepared_statements order by name;
prepare one as select 2;
deallocate one;
select name, parameter_types from pg_prepared_statements;
prepare one (date) as delete from pg_temp.nothing where day = $1;
select name from pg_prepared_statements;
create temporary table nothing (day date);
prepare one as delete from nothing where day = $1;
select name, parameter_types from pg_prepared_statements order by name;
deallocate all;
select count(*) from pg_prepared_statements;
