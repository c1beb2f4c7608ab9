-- The lines of all hosts, `rst-tracer -o json:FILE --heartbeat 10s` on each. Keys that are not named here are not
-- kept; see `rst-tracer schema` for more. Filled by load.sql.
CREATE TABLE IF NOT EXISTS rst_tracer (
    type LowCardinality(String),
    id String,
    seq UInt64,
    time DateTime64(9, 'UTC'),
    host LowCardinality(String),
    direction LowCardinality(String),
    local_role LowCardinality(String),
    sent_by LowCardinality(String),
    effect LowCardinality(String),
    class LowCardinality(String),
    cause LowCardinality(String),
    confidence Float64,
    community_id String,
    conn_state LowCardinality(String),
    src Tuple(ip String, port UInt16),
    dst Tuple(ip String, port UInt16),
    client Tuple(ip String, port UInt16),
    server Tuple(ip String, port UInt16),
    segment Tuple(seq UInt32, ack UInt32, flags String, ttl UInt8),
    lost UInt64,
    suppressed UInt64,
    filtered UInt64
) ENGINE = MergeTree ORDER BY (type, host, time);

CREATE VIEW IF NOT EXISTS lines AS
SELECT
    type, id, seq, time, host, direction, local_role, sent_by, effect, class, cause, confidence, community_id,
    conn_state, src.ip AS src_ip, src.port AS src_port, dst.ip AS dst_ip, dst.port AS dst_port,
    client.ip AS client_ip, server.ip AS server_ip, server.port AS server_port,
    segment.seq AS segment_seq, segment.ack AS segment_ack, segment.flags AS segment_flags, segment.ttl AS segment_ttl,
    lost + suppressed + filtered AS untold
FROM rst_tracer;
