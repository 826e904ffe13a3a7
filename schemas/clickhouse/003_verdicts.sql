-- One row per verdict. A verdict written again under its id replaces the former
-- row when parts merge; read with FINAL to see only the one that holds. The
-- window is part of the id, so rows of one id share partition and sorting key.
CREATE TABLE IF NOT EXISTS verdicts
(
    id                  String                   COMMENT 'deterministic from entity, window and model' CODEC(ZSTD(1)),
    time                DateTime64(6, 'UTC')     COMMENT 'event time of the decision' CODEC(Delta(8), ZSTD(1)),
    day                 Date                     COMMENT 'day of window_start; partitions the table',
    tenant              LowCardinality(String)   COMMENT 'tenant',
    entity_type         LowCardinality(String)   COMMENT 'user, consumer, credential, session, device, ip, ...',
    entity              String                   COMMENT 'value of the entity' CODEC(ZSTD(1)),
    linked              Array(String)            COMMENT 'linked entities, type:value' CODEC(ZSTD(1)),
    api                 LowCardinality(String)   COMMENT 'API',
    attack              LowCardinality(String)   COMMENT 'name in the attack catalogue',
    action              LowCardinality(String)   COMMENT 'observe, throttle, challenge, block',
    enforced            Bool                     COMMENT 'false in shadow mode and for allowed clients',
    withdrawn           Bool                     COMMENT 'the early evidence did not survive the close of the window',
    provisional         Bool                     COMMENT 'judged before the window closed',
    confidence          Float64                  COMMENT '0 to 1',
    p_value             Float64                  COMMENT 'calibrated p-value',
    calibration_kind    LowCardinality(String)   COMMENT 'conformal or extrapolated',
    calibration_n       UInt64                   COMMENT 'benign client-days behind the p-value',
    calibration_stratum LowCardinality(String)   COMMENT 'stratum of the calibration',
    calibration_alpha   Float64                  COMMENT 'false-block rate per client-day of the action',
    explanation         String                   COMMENT 'one sentence' CODEC(ZSTD(1)),
    event_ids           Array(String)            COMMENT 'up to 10 events behind the verdict' CODEC(ZSTD(1)),
    model               LowCardinality(String)   COMMENT 'model and version',
    window_start        DateTime64(6, 'UTC')     COMMENT 'start of the judged window' CODEC(Delta(8), ZSTD(1)),
    window_end          DateTime64(6, 'UTC')     COMMENT 'end of the judged window' CODEC(Delta(8), ZSTD(1)),
    expires_at          Nullable(DateTime64(6, 'UTC')) COMMENT 'when the action ends; NULL for observe' CODEC(ZSTD(1)),
    document            String                   COMMENT 'the whole verdict as JSON' CODEC(ZSTD(1)),
    kafka_topic         LowCardinality(String)   COMMENT 'position in the log: topic',
    kafka_partition     UInt32                   COMMENT 'position in the log: partition' CODEC(ZSTD(1)),
    kafka_offset        UInt64                   COMMENT 'position in the log: offset; the highest of an id holds' CODEC(Delta(8), ZSTD(1)),
    kafka_time          DateTime64(6, 'UTC')     COMMENT 'timestamp of the record' CODEC(Delta(8), ZSTD(1)),
    ingested_at         DateTime DEFAULT now()   COMMENT 'when the row was stored' CODEC(Delta(4), ZSTD(1)),
    INDEX ix_time time TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(kafka_offset)
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, entity_type, entity, window_start, id)
TTL day + INTERVAL 400 DAY DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
COMMENT 'decisions of the scorer';
