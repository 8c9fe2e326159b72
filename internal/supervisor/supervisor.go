// Package supervisor holds the listening sockets, starts one worker a role and keeps it running.
package supervisor
