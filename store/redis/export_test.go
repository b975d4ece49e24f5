package redis

// Bound sets how many members a set may have, and how many are read to count.
func Bound(p *Presence, members, read int) { p.members, p.read = members, read }
