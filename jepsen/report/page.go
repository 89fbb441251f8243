package report

import "html/template"

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.Title}}</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1240px; color: #222; }
h1 { font-size: 1.4em; } h2 { font-size: 1em; margin: 1.5em 0 .3em; }
.pass { color: #176f2c; } .violated { color: #b00020; } .undecided { color: #8a5a00; }
svg { overflow: visible; display: block; margin-left: 210px; } text { font: 11px system-ui, sans-serif; fill: #555; }
.rate { fill: #4a78b5; } .ok { fill: #4a78b5; } .fail { fill: #9a9a9a; } .unknown { fill: #b00020; }
.fault { fill: #d98324; } .line { stroke: #ddd; }
</style>
<h1>{{.Title}}: <span class="{{.Verdict}}">{{.Verdict}}</span></h1>
<ul>{{range .Facts}}<li>{{.}}</li>{{end}}</ul>
{{if .Findings}}<h2>What cannot be</h2><ul>{{range .Findings}}<li>{{.}}</li>{{end}}</ul>{{end}}
{{$d := .}}
<h2>What was done to it</h2>
<svg width="{{.Width}}" height="{{.RowsH}}">{{range .Rows}}{{$r := .}}
<text x="-8" y="{{.Y}}" dy="10" text-anchor="end">{{.Name}}</text>{{range .Spans}}<rect class="fault" x="{{.X}}" y="{{.Y}}" width="{{.W}}" height="{{.H}}"><title>{{$r.Name}}</title></rect>{{end}}{{end}}
</svg>
<h2>Answered operations (at most {{.RateMax}} in a two-hundredth of the time)</h2>
<svg width="{{.Width}}" height="{{.Height}}">{{range .Ticks}}<line class="line" x1="{{$d.At .}}" x2="{{$d.At .}}" y1="0" y2="{{$d.Height}}"/>{{end}}
{{range .Rate}}<rect class="rate" x="{{.X}}" y="{{.Y}}" width="{{.W}}" height="{{.H}}"/>{{end}}
</svg>
<h2>How long each took: blue done, grey refused, red without an answer ({{index .LatencyMS 0}} to {{index .LatencyMS 1}} ms, logarithmic)</h2>
<svg width="{{.Width}}" height="{{.Height}}">{{range .Ticks}}<line class="line" x1="{{$d.At .}}" x2="{{$d.At .}}" y1="0" y2="{{$d.Height}}"/><text x="{{$d.At .}}" y="{{$d.Height}}" dy="14" text-anchor="middle">{{.}} s</text>{{end}}
{{range .Dots}}<circle class="{{.Kind}}" cx="{{.X}}" cy="{{.Y}}" r="1.5"/>{{end}}
</svg>
<p>&nbsp;</p>
</html>
`))
