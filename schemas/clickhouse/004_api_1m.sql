-- API health per minute, kept up by a view on api_events. Its own deduplication
-- window is needed: a repeated insert is dropped by the table and by each target
-- of its views separately. An absurd event time counts at the time of its record.
CREATE TABLE IF NOT EXISTS api_1m
(
    tenant       LowCardinality(String)                COMMENT 'tenant',
    api          LowCardinality(String)                COMMENT 'API, or the host where the gateway names no API',
    minute       DateTime('UTC')                       COMMENT 'minute of the event time' CODEC(Delta(4), ZSTD(1)),
    requests     SimpleAggregateFunction(sum, UInt64)  COMMENT 'calls',
    status_2xx   SimpleAggregateFunction(sum, UInt64)  COMMENT 'responses 200 to 299',
    status_4xx   SimpleAggregateFunction(sum, UInt64)  COMMENT 'responses 400 to 499',
    status_5xx   SimpleAggregateFunction(sum, UInt64)  COMMENT 'responses 500 to 599',
    no_response  SimpleAggregateFunction(sum, UInt64)  COMMENT 'status 0 or unknown',
    req_bytes    SimpleAggregateFunction(sum, UInt64)  COMMENT 'request bytes, known sizes only',
    resp_bytes   SimpleAggregateFunction(sum, UInt64)  COMMENT 'response bytes, known sizes only',
    clients      AggregateFunction(uniqCombined64(14), String) COMMENT 'distinct clients: uniqCombined64Merge(14)(clients)',
    duration_us  AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64) COMMENT 'durations: quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_us)'
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (tenant, api, minute)
TTL minute + INTERVAL 400 DAY DELETE
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'API health per minute';

CREATE MATERIALIZED VIEW IF NOT EXISTS api_1m_mv TO api_1m AS
SELECT
    tenant,
    if(e.api = '', e.host, e.api) AS api,
    toStartOfMinute(toDateTime(if(toDate(e.time) = e.day, e.time, e.kafka_time), 'UTC')) AS minute,
    count() AS requests,
    countIf(e.status >= 200 AND e.status < 300) AS status_2xx,
    countIf(e.status >= 400 AND e.status < 500) AS status_4xx,
    countIf(e.status >= 500) AS status_5xx,
    countIf(ifNull(e.status, 0) = 0) AS no_response,
    sum(ifNull(e.req_bytes, 0)) AS req_bytes,
    sum(ifNull(e.resp_bytes, 0)) AS resp_bytes,
    uniqCombined64State(14)(e.client) AS clients,
    quantilesDDStateIf(0.01, 0.5, 0.95, 0.99)(assumeNotNull(e.duration_us), isNotNull(e.duration_us)) AS duration_us
FROM api_events AS e
GROUP BY tenant, api, minute;
