PRAGMA application_id = 2003324019;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE identity (
    domain TEXT NOT NULL, network TEXT NOT NULL, identity TEXT NOT NULL,
    position INTEGER NOT NULL, address BLOB NOT NULL,
    PRIMARY KEY (domain, network, identity, position)) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('notice',2);
INSERT INTO "meta" VALUES('version',0);
CREATE TABLE notice (
    id INTEGER PRIMARY KEY,
    network TEXT NOT NULL, container TEXT NOT NULL, ifname TEXT NOT NULL,
    plugin TEXT NOT NULL, config TEXT NOT NULL, attachment TEXT NOT NULL, lease TEXT);
INSERT INTO "notice" VALUES(1,'pods','corpus-1','eth0','told','{"type":"wharfinger","plugin":"told","ranges":[[{"subnet":"10.77.0.0/24"}]]}','{"id":{"network":"pods","container":"corpus-1","ifname":"eth0"},"pod":null,"args":[]}','{"addresses":[{"address":"10.77.0.2/24","gateway":"10.77.0.1"}],"routes":[],"dns":{}}');
INSERT INTO "notice" VALUES(2,'pods','corpus-2','eth0','told','{"type":"wharfinger","plugin":"told","ranges":[[{"subnet":"10.77.0.0/24"}]]}','{"id":{"network":"pods","container":"corpus-2","ifname":"eth0"},"pod":null,"args":[]}','{"addresses":[{"address":"10.77.0.3/24","gateway":"10.77.0.1"}],"routes":[],"dns":{}}');
CREATE TABLE permanent (
    owner TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (owner, key)) WITHOUT ROWID;
CREATE INDEX notice_network ON notice (network, container, ifname);
COMMIT;
