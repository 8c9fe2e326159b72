// Package farm is a web farm: its members, which of them gets a request, affinity, drain, slow start and fail-open.
package farm
