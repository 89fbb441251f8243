package main

import (
	"net/http"
	"time"

	"github.com/lockd-io/lockd/cluster"
	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/transport"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// counts are what a server counts: its node, and its port.
type counts struct {
	cluster.Metrics
	port transport.Stats
}

// A metric is one line of docs/metrics.md: what it is called, and where its values
// are. Node and port count in plain fields; how they are shown is decided here alone.
type metric struct {
	name   string
	help   string
	labels []string
	kind   prometheus.ValueType // of those with values
	values func(m *counts, yield func(v float64, labels ...string))
	spans  func(m *counts) *cluster.Histogram // instead of values
}

// metricsHandler answers GET /metrics with what a server counts, and its runtime and
// process. Every call reads each once.
func metricsHandler(read func() counts) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(nodeCollector{read: read, metrics: nodeMetrics()},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

type nodeCollector struct {
	read    func() counts
	metrics []metric
}

func (m *metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.name, m.help, m.labels, nil) }

// Describe implements prometheus.Collector.
func (c nodeCollector) Describe(to chan<- *prometheus.Desc) {
	for i := range c.metrics {
		to <- c.metrics[i].desc()
	}
}

// Collect implements prometheus.Collector.
func (c nodeCollector) Collect(to chan<- prometheus.Metric) {
	now := c.read()
	for i := range c.metrics {
		m := &c.metrics[i]
		if m.spans != nil {
			to <- histogramOf(m.desc(), m.spans(&now))
			continue
		}
		m.values(&now, func(v float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(m.desc(), m.kind, v, labels...)
		})
	}
}

// histogramOf has cumulative buckets, in seconds, as Prometheus wants them.
func histogramOf(d *prometheus.Desc, h *cluster.Histogram) prometheus.Metric {
	buckets, sum := make(map[float64]uint64), uint64(0)
	for i, n := range h.Buckets {
		sum += n
		if bound := h.Bound(i); bound > 0 {
			buckets[bound.Seconds()] = sum
		}
	}
	return prometheus.MustNewConstHistogram(d, sum, h.Sum.Seconds(), buckets)
}

func gauge(name, help string, value func(m *counts) float64) metric {
	return single(name, help, prometheus.GaugeValue, value)
}

func counter(name, help string, value func(m *counts) float64) metric {
	return single(name, help, prometheus.CounterValue, value)
}

func single(name, help string, kind prometheus.ValueType, value func(m *counts) float64) metric {
	return metric{name: name, help: help, kind: kind, values: func(m *counts, yield func(float64, ...string)) {
		yield(value(m))
	}}
}

func spans(name, help string, of func(m *counts) *cluster.Histogram) metric {
	return metric{name: name, help: help, spans: of}
}

// labelled is a counter with one value for each of the label's.
func labelled(name, help, label string, values func(m *counts, yield func(float64, ...string))) metric {
	return metric{name: name, help: help, kind: prometheus.CounterValue, labels: []string{label}, values: values}
}

// byNumber yields the counts that are not zero under the names of their numbers.
func byNumber[T ~uint8](counts []uint64, name func(T) string, yield func(float64, ...string)) {
	for i, n := range counts {
		if n > 0 {
			yield(float64(n), name(T(i)))
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(d time.Duration) float64 { return d.Seconds() }

func commandsOf(m *counts, yield func(float64, ...string)) {
	byNumber(m.Commands[:], fsm.Op.String, yield)
}

func answersOf(m *counts, yield func(float64, ...string)) {
	byNumber(m.Answers[:], fsm.Status.String, yield)
}
