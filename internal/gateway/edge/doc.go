// Package edge serves the web listeners: it accepts connections, reads requests, decides where each goes and forwards it
// to a member of a web farm.
//
// A request takes one way, whatever protocol brought it: listener → head → decide → forward → log and counters. decide is
// a pure function of the head and the rules; forward asks the farm for a member and sends the request there. Both know
// HTTP's words and nothing of how the head was read, so that another engine can take the place of net/http below them.
//
// # Why not httputil.ReverseProxy
//
// Its handler makes one attempt and hides what the transport knows. Here an attempt may be repeated on another member,
// and only what is known of the failed attempt says whether it may: was the connection made, was the body touched, was
// anything sent to the client. Its rules for hop-by-hop fields, 1xx responses, trailers and upgrades are RFC 9110's and
// are kept; each has a test here.
//
// # What is refused before a rule is asked
//
// HTTP/1 bytes go through a guard (guard.go) that follows the framing of RFC 9112 strictly, and lets net/http see the
// end of a head only when the head can be read in one way: no Transfer-Encoding beside Content-Length, no repeated
// lengths, no folded lines, no bare CR or LF, no space before a colon, no control bytes, no odd chunk sizes. CONNECT,
// TRACE and absolute-form targets are refused: a published listener is no forward proxy.
//
// # Time
//
// A head must arrive within HeaderTimeout. From then on a watchdog a request wants to see bytes move: a body that moves
// in neither direction for BodyTimeout ends the request. Streams that are silent by nature (server-sent events, gRPC)
// get TunnelTimeout instead once the member has answered with such a content type; upgraded connections too. A
// connection without a request is closed after IdleTimeout. Connecting to a member, TLS included, may take the farm's
// ConnectTimeout, and the head of its response the farm's ResponseTimeout after the request was written.
//
// # Log
//
// Paths are logged without their query. Header fields are never logged, so neither cookies nor credentials are.
package edge
