-- Zones and clusters were words in other records; each word becomes a record that has it as its name.
CREATE TEMPORARY TABLE word (kind TEXT, name TEXT, id TEXT);
INSERT INTO word (kind, name)
    SELECT DISTINCT 'zone', coalesce(body ->> 'zone', body ->> 'media_zone') FROM record
    WHERE kind IN ('server', 'join-token', 'media-server', 'customer', 'carrier', 'route')
    UNION
    SELECT DISTINCT 'cluster', body ->> 'cluster' FROM record
    WHERE kind IN ('server', 'join-token');
DELETE FROM word WHERE coalesce(name, '') = '';
UPDATE word SET id = CASE kind WHEN 'zone' THEN 'zone_0' ELSE 'clu_0' END
    || substr(hex(randomblob(13)), 1, 25);

UPDATE platform SET revision = revision + 1 WHERE EXISTS (SELECT 1 FROM word);
INSERT INTO record (id, kind, revision, body)
    SELECT id, kind, (SELECT revision FROM platform), CASE kind
        WHEN 'zone' THEN
            json_object('id', id, 'name', name, 'latitude', NULL, 'longitude', NULL)
        ELSE json_object('id', id, 'name', name,
                         'limits', json_object('cps', NULL, 'channels', NULL))
    END
    FROM word;
INSERT INTO record_value (space, value, record)
    SELECT kind || '-name', name, id FROM word;
INSERT INTO record_reference (record, target)
    SELECT r.id, v.record FROM record r
    JOIN record_value v ON v.space = 'zone-name'
        AND v.value = coalesce(r.body ->> 'zone', r.body ->> 'media_zone')
    WHERE r.kind IN ('server', 'join-token', 'media-server', 'customer', 'carrier', 'route');
INSERT INTO record_reference (record, target)
    SELECT r.id, v.record FROM record r
    JOIN record_value v ON v.space = 'cluster-name' AND v.value = r.body ->> 'cluster'
    WHERE r.kind IN ('server', 'join-token');
DROP TABLE word;
