// Package alerting evaluates Prometheus' alerting rules over the server's own metrics, so that a site alerts without a Prometheus.
//
//	registry ──gather──► Take: Store, what the rules name, as long as they look back ──► Evaluate: PromQL ──► pending ──for──► firing ──► Firing
//
// The rules are a file for Prometheus, and mean here what they mean there: the engine is Prometheus' own, and the times of for and
// keep_firing_for are kept as its rule manager does. An Evaluator belongs to one goroutine, but for State; it starts none.
//
// The memory is bounded: only metrics that rules name are kept, each as long as the longest look back, at full pace for an hour and a sample each four
// minutes before that. What is over the bounds is left out and told by State.
package alerting
