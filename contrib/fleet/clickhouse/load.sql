INSERT INTO rst_tracer
SETTINGS
    date_time_input_format = 'best_effort',
    input_format_skip_unknown_fields = 1,
    input_format_json_ignore_unknown_keys_in_named_tuple = 1
FORMAT JSONEachRow
