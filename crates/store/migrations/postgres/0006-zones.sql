-- Zones and clusters were words in other records; each word becomes a record that has it as its name.
CREATE TEMPORARY TABLE word AS
    SELECT kind, name,
           CASE kind WHEN 'zone' THEN 'zone_0' ELSE 'clu_0' END
           || upper(substr(md5(kind || name || random()), 1, 25)) AS id
    FROM (SELECT DISTINCT 'zone' AS kind,
                 coalesce(body::json ->> 'zone', body::json ->> 'media_zone') AS name
          FROM record
          WHERE kind IN ('server', 'join-token', 'media-server', 'customer', 'carrier', 'route')
          UNION
          SELECT DISTINCT 'cluster', body::json ->> 'cluster' FROM record
          WHERE kind IN ('server', 'join-token')) AS words
    WHERE coalesce(name, '') <> '';

UPDATE platform SET revision = revision + 1 WHERE EXISTS (SELECT 1 FROM word);
INSERT INTO record (id, kind, revision, body)
    SELECT id, kind, (SELECT revision FROM platform), CASE kind
        WHEN 'zone' THEN
            json_build_object('id', id, 'name', name, 'latitude', NULL, 'longitude', NULL)::text
        ELSE json_build_object('id', id, 'name', name,
                 'limits', json_build_object('cps', NULL, 'channels', NULL))::text
    END
    FROM word;
INSERT INTO record_value (space, value, record) SELECT kind || '-name', name, id FROM word;
INSERT INTO record_reference (record, target)
    SELECT r.id, v.record FROM record r
    JOIN record_value v ON v.space = 'zone-name'
        AND v.value = coalesce(r.body::json ->> 'zone', r.body::json ->> 'media_zone')
    WHERE r.kind IN ('server', 'join-token', 'media-server', 'customer', 'carrier', 'route');
INSERT INTO record_reference (record, target)
    SELECT r.id, v.record FROM record r
    JOIN record_value v ON v.space = 'cluster-name' AND v.value = r.body::json ->> 'cluster'
    WHERE r.kind IN ('server', 'join-token');
DROP TABLE word;
