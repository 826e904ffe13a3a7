package clickhousefront

import "net/http"

// httpStatus maps a ClickHouse error code to the HTTP status the server
// answers it with. Clients branch on the code header, but proxies and
// dashboards see only the status, so the usual classes are kept.
func httpStatus(code int) int {
	switch code {
	case 6, 26, 27, 38, 41, 53, 62, 69, 70, 72, 130, 131, 386, 456, 457:
		// CANNOT_PARSE_*, TYPE_MISMATCH, SYNTAX_ERROR, *_BAD_QUERY_PARAMETER:
		// the statement or its data is malformed.
		return http.StatusBadRequest
	case 192, 193, 516:
		// UNKNOWN_USER, WRONG_PASSWORD, AUTHENTICATION_FAILED.
		return http.StatusForbidden
	case 36, 46, 47, 50, 56, 60, 63, 73, 75, 81, 115, 128:
		// UNKNOWN_FUNCTION, UNKNOWN_IDENTIFIER, UNKNOWN_TYPE, UNKNOWN_STORAGE,
		// UNKNOWN_TABLE, UNKNOWN_AGGREGATE_FUNCTION, UNKNOWN_FORMAT,
		// UNKNOWN_DATABASE, UNKNOWN_SETTING and the like.
		return http.StatusNotFound
	case codeNotImplemented:
		return http.StatusNotImplemented
	case 76, 209:
		// CANNOT_OPEN_FILE, SOCKET_TIMEOUT.
		return http.StatusServiceUnavailable
	case 159:
		// TIMEOUT_EXCEEDED.
		return http.StatusRequestTimeout
	default:
		return http.StatusInternalServerError
	}
}
