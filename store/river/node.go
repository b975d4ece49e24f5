package river

// Node is what this run of the process is called in heartbeats and where jobs ran.
func (q *Queue) Node() string { return q.node }
