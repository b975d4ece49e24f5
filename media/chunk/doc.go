// Package chunk reads and writes the chunk stream of RTMP 1.0 (section 5.3), for those who take publishers in as for those
// who publish elsewhere.
//
// It starts no goroutine and takes no lock. Deadlines are the business of whoever owns the connection.
package chunk
