// Package gateway is what stands between the blocklist topic and the gateways
// that enforce it.
//
// Blocklist follows the compacted topic and answers lookups from memory; Auth
// serves those answers to gateways that ask over HTTP (nginx auth_request,
// Traefik and Caddy forward-auth, APISIX); Feed serves the list itself; Editor
// changes it on an operator's behalf; Janitor removes what has expired.
//
// # The log is the only state
//
// Every reader here rebuilds from the first record of the topic and never
// resumes from a saved offset: a broker keeps the tombstone of a lifted block
// for a limited time only (delete.retention.ms), so a reader that resumes later
// than that would enforce blocks that were lifted long ago. For the same reason
// a reader that was cut off for longer than Config.RebuildAfter starts again.
//
// # Conditional records
//
// Kafka has no compare-and-set, so a record that is based on an older one
// carries the header HeaderNotAfter with the offset N it was based on. It
// replaces only what stands at offset N or before. See Janitor for the race
// that this settles.
package gateway
