-- Several clouds on one database. Times here are the database's own: clocks of clouds may differ.

-- Numbers the starts of clouds: live numbers of one start are never taken for those of another.
create sequence cloud_life as integer minvalue 1000 start with 1000;

-- A cloud that runs, and when it last said so.
create table cloud_process (
  id text primary key,
  seen_at timestamptz not null default now()
);

-- Which cloud holds the stream of a gateway. `reach`: what its stations are known under, its group or itself.
create table gateway_stream (
  cloud text not null references cloud_process (id) on delete cascade,
  reach text not null,
  primary key (cloud, reach)
);

-- What one cloud has done that the others must look at. Ids rise in the order of the commits. Kept for a minute.
create table bulletin (
  id bigint generated always as identity primary key,
  cloud text not null,
  at timestamptz not null default now(),
  body jsonb not null
);
