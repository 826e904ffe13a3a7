-- One row per API call. Text is '' and numbers are NULL where the gateway did
-- not report a value; 0 means zero.
--
-- The order (tenant, client, time) serves the question asked most in an
-- investigation, what one client did; questions per API go to api_1m.
CREATE TABLE IF NOT EXISTS api_events
(
    id              String                       COMMENT 'unique per call; topic/partition/offset where the gateway gave none' CODEC(ZSTD(1)),
    time            DateTime64(6, 'UTC')         COMMENT 'arrival of the request at the gateway' CODEC(Delta(8), ZSTD(1)),
    day             Date                         COMMENT 'day of time, or of kafka_time where time is absurd; partitions the table',
    tenant          LowCardinality(String)       COMMENT 'tenant',
    gateway         LowCardinality(String)       COMMENT 'gateway instance',
    gateway_type    LowCardinality(String)       COMMENT 'kong, nginx, envoy, ...',
    api             LowCardinality(String)       COMMENT 'API or service as the gateway names it',
    api_version     LowCardinality(String)       COMMENT 'version of the API',
    route           LowCardinality(String)       COMMENT 'path template, if the gateway knows it',
    method          LowCardinality(String)       COMMENT 'HTTP method',
    scheme          LowCardinality(String)       COMMENT 'http or https',
    host            LowCardinality(String)       COMMENT 'requested host',
    path            String                       COMMENT 'path as received' CODEC(ZSTD(1)),
    query           String                       COMMENT 'query without the question mark' CODEC(ZSTD(1)),
    http_version    LowCardinality(String)       COMMENT 'HTTP version',
    content_type    LowCardinality(String)       COMMENT 'content type of the request',
    status          Nullable(UInt16)             COMMENT 'response status; 0: no response' CODEC(ZSTD(1)),
    req_bytes       Nullable(UInt64)             COMMENT 'size of the request body, bytes' CODEC(T64, ZSTD(1)),
    resp_bytes      Nullable(UInt64)             COMMENT 'size of the response body, bytes' CODEC(T64, ZSTD(1)),
    duration_us     Nullable(UInt64)             COMMENT 'total duration, microseconds' CODEC(T64, ZSTD(1)),
    upstream_us     Nullable(UInt64)             COMMENT 'duration of the backend, microseconds' CODEC(T64, ZSTD(1)),
    client_ip       String                       COMMENT 'address that the gateway trusts, or its pseudonym' CODEC(ZSTD(1)),
    client_port     Nullable(UInt16)             COMMENT 'port of the client' CODEC(ZSTD(1)),
    peer_ip         LowCardinality(String)       COMMENT 'address of the connection',
    xff             String                       COMMENT 'X-Forwarded-For as received; not trusted by itself' CODEC(ZSTD(1)),
    consumer        LowCardinality(String)       COMMENT 'authenticated application',
    user            String                       COMMENT 'authenticated user, a pseudonym' CODEC(ZSTD(1)),
    credential      String                       COMMENT 'keyed hash of the credential' CODEC(ZSTD(1)),
    credential_type LowCardinality(String)       COMMENT 'token, api_key, cookie, basic, mtls',
    session         String                       COMMENT 'keyed hash of the session' CODEC(ZSTD(1)),
    login_user      String                       COMMENT 'keyed hash of the user name that a login tried' CODEC(ZSTD(1)),
    user_agent      LowCardinality(String)       COMMENT 'User-Agent',
    ja4             LowCardinality(String)       COMMENT 'TLS fingerprint',
    country         LowCardinality(String)       COMMENT 'ISO 3166-1 alpha-2',
    asn             Nullable(UInt32)             COMMENT 'autonomous system number' CODEC(ZSTD(1)),
    headers         Map(LowCardinality(String), String) COMMENT 'chosen request headers' CODEC(ZSTD(1)),
    body_sample     String                       COMMENT 'start of the request body, where it is turned on' CODEC(ZSTD(1)),
    trace_id        String                       COMMENT 'W3C trace' CODEC(ZSTD(1)),
    attrs           Map(LowCardinality(String), String) COMMENT 'anything else' CODEC(ZSTD(1)),
    client          String                       COMMENT 'client key, type:value' CODEC(ZSTD(1)),
    kafka_topic     LowCardinality(String)       COMMENT 'position in the log: topic',
    kafka_partition UInt32                       COMMENT 'position in the log: partition' CODEC(ZSTD(1)),
    kafka_offset    UInt64                       COMMENT 'position in the log: offset' CODEC(Delta(8), ZSTD(1)),
    kafka_time      DateTime64(6, 'UTC')         COMMENT 'timestamp of the record' CODEC(Delta(8), ZSTD(1)),
    ingested_at     DateTime DEFAULT now()       COMMENT 'when the row was stored' CODEC(Delta(4), ZSTD(1)),
    INDEX ix_client_ip client_ip TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX ix_id id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX ix_time time TYPE minmax GRANULARITY 1,
    INDEX ix_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY day
ORDER BY (tenant, client, time)
TTL day + INTERVAL 30 DAY DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
COMMENT 'API calls as the gateways saw them';
