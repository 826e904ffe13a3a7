// Package composetest checks the files that deploy weir: docker-compose.yml, the
// Dockerfile, the Prometheus rules and the Grafana dashboard. It is a module of
// its own to keep the Compose loader out of what the binary depends on.
package composetest
