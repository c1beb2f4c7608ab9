-- Who resets whom most. A reset that several hosts saw counts once.
SELECT
    src_ip, dst_ip, count(DISTINCT (community_id, segment_seq, segment_ack)) AS resets,
    mode(cause) AS usual_cause, min(time) AS first, max(time) AS last
FROM lines
WHERE type = 'rst'
GROUP BY src_ip, dst_ip
ORDER BY resets DESC, src_ip, dst_ip
LIMIT 20;
