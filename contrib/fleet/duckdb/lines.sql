-- The lines of all hosts, `rst-tracer -o json:FILE --heartbeat 10s` on each, gathered in one folder. Keys that are
-- not named here are not read; see `rst-tracer schema` for more.
CREATE OR REPLACE VIEW lines AS
SELECT
    type, id, seq, CAST(time AS TIMESTAMP) AS time, host, direction, local_role, sent_by, effect, class, cause,
    confidence, community_id, conn_state,
    src.ip AS src_ip, src.port AS src_port, dst.ip AS dst_ip, dst.port AS dst_port,
    client.ip AS client_ip, server.ip AS server_ip, server.port AS server_port,
    segment.seq AS segment_seq, segment.ack AS segment_ack, segment.flags AS segment_flags, segment.ttl AS segment_ttl,
    lost + suppressed + filtered AS untold
FROM read_json(
    '/var/log/fleet/*.json',
    format = 'newline_delimited',
    columns = {
        type: 'VARCHAR', id: 'VARCHAR', seq: 'BIGINT', time: 'VARCHAR', host: 'VARCHAR', direction: 'VARCHAR',
        local_role: 'VARCHAR', sent_by: 'VARCHAR', effect: 'VARCHAR', class: 'VARCHAR', cause: 'VARCHAR',
        confidence: 'DOUBLE', community_id: 'VARCHAR', conn_state: 'VARCHAR',
        src: 'STRUCT(ip VARCHAR, port INTEGER)', dst: 'STRUCT(ip VARCHAR, port INTEGER)',
        client: 'STRUCT(ip VARCHAR, port INTEGER)', server: 'STRUCT(ip VARCHAR, port INTEGER)',
        segment: 'STRUCT(seq BIGINT, ack BIGINT, flags VARCHAR, ttl INTEGER)',
        lost: 'BIGINT', suppressed: 'BIGINT', filtered: 'BIGINT'
    }
);
