-- What BACKUP and RESTORE refuse, and in which words; nothing of it needs a place.

create table t (id int primary key);

create view v as select id from t;

backup table nosuch into 'file:///nowhere';

backup table t, u into 'file:///nowhere';

backup table v into 'file:///nowhere';

backup database nosuch into 'file:///nowhere';

backup table t to 'x';

backup table t into 'x' with (speed = 5);

backup table t into 'x' with (history, history);

backup table t into 'ftp://host';

backup table t into 'file://host/path';

backup table t into 's3://bucket/path';

backup table t into 'file:///nowhere' as of system time 'soon';

backup table t into 'file:///nowhere' as of system time '2999-01-01';

backup table t into 'file:///nowhere' incremental;

backup table t into 'file:///nowhere' resume;

backup table t into 'file:///nowhere' resume with (history);

restore table t as u from 'file:///nowhere';

restore table t from 'file:///nowhere' with (history);

restore database d as e from 'file:///nowhere';

show backups in 'file:///nowhere';

create schedule nightly for backup table t into 'file:///nowhere' with (history) every '1 day' full every '7 days';

create schedule nightly for backup table t into 'file:///nowhere' every '1 hour';

create schedule if not exists nightly for backup cluster into 'file:///nowhere' every '1 hour';

drop schedule nightly;

drop schedule nightly;

drop schedule if exists nightly;

show schedules;

create schedule s for backup table t into 'file:///nowhere' every 'soon';

create schedule s for backup table t into 'file:///nowhere' every '1 second';

create schedule s for select 1 every '1 day';

create schedule s for backup database nosuch into 'file:///nowhere' every '1 day';

begin;

backup table t into 'file:///nowhere';

rollback;

begin;

drop schedule nightly;

rollback;
