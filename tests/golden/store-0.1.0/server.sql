-- The tables of release 0.1.0 on a PostgreSQL, as its program made them.
CREATE TABLE counters (
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE leader (
    id SERIAL NOT NULL,
    term INTEGER NOT NULL,
    renewals INTEGER NOT NULL,
    holder TEXT NOT NULL,
    held INTEGER NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE ledger (
    rollout TEXT NOT NULL,
    n INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (rollout, n)
);
CREATE TABLE looks (
    name TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE parsed (
    rollout TEXT NOT NULL,
    revision TEXT NOT NULL,
    record BYTEA NOT NULL,
    PRIMARY KEY (rollout, revision)
);
CREATE TABLE rollouts (
    name TEXT NOT NULL,
    revision TEXT NOT NULL,
    position TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE seals (
    n SERIAL NOT NULL,
    seal TEXT NOT NULL,
    PRIMARY KEY (n)
);
CREATE TABLE specs (
    rollout TEXT NOT NULL,
    revision TEXT NOT NULL,
    text TEXT NOT NULL,
    at FLOAT NOT NULL,
    PRIMARY KEY (rollout, revision)
);
CREATE TABLE views (
    name TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE stop_orders (
    name TEXT NOT NULL,
    told TEXT NOT NULL,
    PRIMARY KEY (name)
);
