-- Numbers that follow from a seed
select setseed(0.5);
select random(), random();
select random() from generate_series(1, 3);
select setseed(0.5);
select random();
select setseed(-1), random();
select setseed(1);
select random();
select setseed(0);
select random() < 1, random();
select setseed(null);
select setseed(1.5);
select setseed(-1.0000001);
select setseed('nan');
select pg_typeof(setseed(0.25)), pg_typeof(random());
select round((random() * 1000)::numeric, 6);

-- Digests
select sha224('abc'), sha224(''), sha224('\x00ff'), sha224(null);
select encode(sha224(convert_to(repeat('a', 1000), 'UTF8')), 'hex');
select length(sha224('x')), pg_typeof(sha224('x'));
