package rig

// LiveHeap is what lives on the heap of the process after a garbage collection, in bytes.
func (c *Caddy) LiveHeap() (int64, error) {
	if _, err := Get("http://" + c.admin + "/debug/pprof/heap?gc=1"); err != nil {
		return 0, err
	}
	const name = "go_memstats_heap_alloc_bytes"
	m, err := c.Metrics(name)
	return int64(m[name]), err
}
