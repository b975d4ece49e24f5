package playback

// Bound sets how many policies are remembered.
func Bound(p *Policies, most int) { p.most = most }

// Size is how many are.
func Size(p *Policies) int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.entries)
}
