-- Causes over time. A reset that several hosts saw counts once for each cause that they gave.
SELECT
    time_bucket(INTERVAL '1 hour', time) AS hour, class, cause,
    count(DISTINCT (community_id, segment_seq, segment_ack)) AS resets
FROM lines
WHERE type = 'rst'
GROUP BY hour, class, cause
ORDER BY hour, resets DESC, cause;
