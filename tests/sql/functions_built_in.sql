-- What the catalog says of the signatures of built-in functions.
select p.oid, p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid) from pg_proc p where p.oid in (1397, 1705, 1217, 1067, 2763, 2147, 2803, 3538, 3100, 3106, 3059, 1299, 2331) order by p.oid;
select p.oid, p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid) from pg_proc p where p.oid in (1268, 3461, 3464, 4006, 5054, 2096) order by p.oid;
select p.oid, p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid) from pg_proc p where p.oid in (3208, 3219, 3955, 3958, 3932, 3204) order by p.oid;
select p.oid, p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid) from pg_proc p where p.oid in (3972, 3974, 3980, 3984, 3986) order by p.oid;
select p.oid, p.proname, pg_get_function_identity_arguments(p.oid) from pg_proc p where p.oid in (1268, 3464, 4006, 5054, 3958, 3974, 1397) order by p.oid;
select pg_get_function_arguments('abs(integer)'::regprocedure), pg_get_function_result('length(text)'::regprocedure), pg_get_function_result(0), pg_get_function_arguments(1);
