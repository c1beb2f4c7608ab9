-- Injection, proved from two sides: a host received a reset with the source X, and the host that has X, which traced
-- all the time without a gap, never sent it. Firewalls that reject in the name of X are among them (`cause`).
--
-- * 2 seconds: how far clocks may differ. Between stats lines (--heartbeat) before and after, at most 5 minutes away,
--   no line of X's host may be missing (`seq`) and none of its resets untold: else nothing is proved.
-- * Whose address X is tell the host's own events. With an inventory, put it in the place of `owners`.
-- * Where addresses are translated on the way, the two sides have different connections: leave those networks out.
-- * The tracer tells a repeated reset of a connection only once. A reset that was lost on its way to the receiver,
--   whose repetition with another number arrived, would look like an injected one.
WITH received AS (
    SELECT * FROM lines WHERE type = 'rst' AND local_role = 'receiver' AND direction = 'ingress'
),
owners AS (
    SELECT DISTINCT host, src_ip AS ip FROM lines
    WHERE type = 'rst' AND local_role = 'sender' AND direction = 'egress'
    UNION
    SELECT DISTINCT host, dst_ip AS ip FROM received
),
sent AS (
    SELECT DISTINCT received.host, received.id
    FROM received JOIN lines AS there
        ON there.community_id = received.community_id AND there.segment_seq = received.segment_seq
        AND there.src_ip = received.src_ip AND there.src_port = received.src_port
    WHERE there.type = 'rst' AND there.local_role = 'sender'
        AND there.time BETWEEN received.time - INTERVAL '2 seconds' AND received.time + INTERVAL '2 seconds'
),
-- The stats lines of X's host before and after.
around AS (
    SELECT
        received.host AS receiver, received.id AS id, owners.host AS owner,
        max(beat.time) FILTER (beat.time < received.time) AS since,
        min(beat.time) FILTER (beat.time > received.time) AS until,
        arg_max(beat.seq, beat.time) FILTER (beat.time < received.time) AS first_seq,
        arg_min(beat.seq, beat.time) FILTER (beat.time > received.time) AS last_seq,
        arg_max(beat.untold, beat.time) FILTER (beat.time < received.time) AS untold_before,
        arg_min(beat.untold, beat.time) FILTER (beat.time > received.time) AS untold_after
    FROM received
    JOIN owners ON owners.ip = received.src_ip
    JOIN lines AS beat ON beat.host = owners.host
    WHERE beat.type = 'stats' AND owners.host <> received.host
        AND (beat.time BETWEEN received.time - INTERVAL '5 minutes' AND received.time - INTERVAL '2 seconds'
            OR beat.time BETWEEN received.time + INTERVAL '2 seconds' AND received.time + INTERVAL '5 minutes')
    GROUP BY received.host, received.id, owners.host
),
watched AS (
    SELECT around.receiver, around.id, around.owner
    FROM around JOIN lines AS line ON line.host = around.owner
    WHERE around.untold_before = around.untold_after
        AND line.seq BETWEEN around.first_seq AND around.last_seq
        -- Not those of another run. A reset is told some seconds after it was seen.
        AND line.time BETWEEN around.since - INTERVAL '1 minute' AND around.until + INTERVAL '1 minute'
    GROUP BY around.receiver, around.id, around.owner, around.first_seq, around.last_seq
    HAVING count(DISTINCT line.seq) = around.last_seq - around.first_seq + 1
)
SELECT
    received.time AS time, watched.receiver AS receiver, watched.owner AS innocent, received.src_ip AS src_ip,
    received.src_port AS src_port, received.dst_ip AS dst_ip, received.dst_port AS dst_port,
    received.segment_seq AS segment_seq, received.segment_ttl AS ttl, received.effect AS effect,
    received.cause AS cause, received.confidence AS confidence, received.community_id AS community_id
FROM received JOIN watched ON watched.receiver = received.host AND watched.id = received.id
WHERE (received.host, received.id) NOT IN (SELECT (host, id) FROM sent)
ORDER BY received.time;
