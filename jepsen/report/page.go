package report

import (
	"fmt"
	"html/template"
)

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"clock": clock, "lasting": lasting, "grouped": grouped,
	"span":  func(g gap) string { return lasting(g.End - g.Begin) },
	"fault": func(f Fault) string { return lasting(f.End - f.Begin) },
	"x":     func(v float64) string { return fmt.Sprintf("%.1f", v) },
	"add":   func(a, b float64) float64 { return a + b },
	"style": func() template.CSS { return style },
}).Parse(text))

// style is for light and dark, and for windows of any width: drawings keep theirs and
// are scrolled. Nothing is told by colour alone.
const style = `
:root { color-scheme: light dark; --ground: #fff; --ink: #1f2328; --faint: #57606a; --line: #d0d7de; --good: #116329; --bad: #b00020; --maybe: #7a4d00;
  --ok: #3b6fb0; --fail: #8a6d1d; --unknown: #b00020; --fault: #f2c185; --reign0: #bcd6f3; --reign1: #d8c9f0; --gone: #c9ced4; --gap: #b0002022; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --ink: #e6e8ea; --faint: #a3abb3; --line: #3a4148; --good: #6fd08a; --bad: #ff8a93; --maybe: #f0b860;
  --ok: #7fb0ee; --fail: #d5b45e; --unknown: #ff8a93; --fault: #7a4a10; --reign0: #274a70; --reign1: #4a3a6b; --gone: #555c64; --gap: #ff8a9333; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 1240px; color: var(--ink); background: var(--ground); overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin: 2rem 0 .4rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; font-weight: 600; }
.verdict { padding: 0 .4em; border: 2px solid; border-radius: .3em; }
.pass { color: var(--good); } .violated { color: var(--bad); } .undecided { color: var(--maybe); }
.summary { font-size: 1.1rem; max-width: 75ch; } .note { color: var(--faint); margin: .2rem 0; }
.scroll { overflow-x: auto; } .scroll:focus-visible { outline: 2px solid var(--ok); }
table { border-collapse: collapse; font-size: .95rem; } table + table { margin-top: .8rem; } caption { text-align: left; font-weight: 600; padding: .2rem 0; }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; border-bottom: 1px solid var(--line); vertical-align: top; font-weight: 400; }
thead th { font-weight: 600; } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
summary { cursor: pointer; margin: .4rem 0; } ul { padding-left: 1.2rem; }
svg { display: block; width: 100%; min-width: 760px; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg .axis { fill: var(--faint); }
.line { stroke: var(--line); } .won { stroke: var(--faint); stroke-dasharray: 2 3; } .gap { fill: var(--gap); }
.fault { fill: var(--fault); } .reign0 { fill: var(--reign0); } .reign1 { fill: var(--reign1); } .down { fill: var(--gone); }
.nobody { fill: none; stroke: var(--bad); stroke-dasharray: 3 2; } .mark { fill: var(--ink); }
.bars { fill: var(--ok); } .dots { fill: none; stroke-width: 3; }
.dots.ok { stroke: var(--ok); stroke-linecap: round; } .dots.fail { stroke: var(--fail); stroke-linecap: square; } .dots.unknown { stroke: var(--unknown); stroke-width: 1.3; }
`

const text = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/><title>{{.Title}}: {{.Verdict}}</title>
<style>{{style}}</style></head>
<body><main>
<h1>{{.Title}}: <span class="verdict {{.Verdict}}">{{.Verdict}}</span></h1>
<p class="summary">{{.Summary}}</p>
{{if .Facts}}<ul>{{range .Facts}}<li>{{.}}</li>{{end}}</ul>
{{end}}{{if .Findings}}<h2>What cannot be</h2>
<ul>{{range .Findings}}<li>{{.}}</li>{{end}}</ul>
{{end}}{{$d := .}}
<h2>Who led, and what was done to it</h2>
<p class="note">A dashed frame is a time without a leader; a triangle is an election that was won, or a node that serves again; what is shaded is in the table of gaps.</p>
<div class="scroll" tabindex="0" role="region" aria-label="drawing of leaders, nodes and faults over time">
<svg viewBox="-{{x .Left}} -4 {{x (add .Left 1020)}} {{x (add .Bottom 28)}}" role="img" aria-label="Leaders, nodes and faults over {{x .Time.Last}} seconds; the tables below say the same">
{{template "time" (.Frame .Bottom)}}{{range .Rows}}{{$y := .Y}}<text x="-8" y="{{add .Y 14}}" text-anchor="end">{{.Name}}</text>
{{range .Spans}}<rect class="{{.Class}}" x="{{x .X}}" y="{{add $y 1}}" width="{{x .W}}" height="17"><title>{{.Title}}</title></rect>{{if .Text}}<text x="{{x .TextX}}" y="{{add $y 14}}">{{.Text}}</text>{{end}}{{if .Mark}}<path class="mark" d="M{{x (add .X .W)}} {{add $y 9}}l-7 -5v10z"/>{{end}}
{{end}}{{end}}</svg></div>
{{if or .FaultsOf .ReignsOf}}<details><summary>This as tables</summary>
<div class="scroll" tabindex="0" role="region" aria-label="tables of faults and leaders">
<table><caption>What was done to it</caption><thead><tr><th scope="col">what</th><th scope="col">to</th><th scope="col" class="n">from</th><th scope="col" class="n">for</th><th scope="col" class="n">an answer after its end</th></tr></thead>
<tbody>{{range .FaultsOf}}<tr><td>{{.Name}}</td><td>{{.To}}</td><td class="n">{{clock .Begin}}</td><td class="n">{{fault .Fault}}</td><td class="n">{{.Answered}}</td></tr>
{{end}}</tbody></table>
<table><caption>Who led</caption><thead><tr><th scope="col" class="n">term</th><th scope="col">node</th><th scope="col" class="n">from</th><th scope="col" class="n">to</th><th scope="col" class="n">nobody before for</th></tr></thead>
<tbody>{{range .ReignsOf}}<tr><td class="n">{{.Term}}</td><td>{{.Node}}</td><td class="n">{{clock .Begin}}</td><td class="n">{{clock .End}}</td><td class="n">{{.Vacant}}</td></tr>
{{end}}</tbody></table></div></details>
{{end}}{{if .Gaps}}<table><caption>{{.Words.Gap}}</caption><thead><tr><th scope="col" class="n">from</th><th scope="col" class="n">for</th><th scope="col">what was under way</th></tr></thead>
<tbody>{{range .Gaps}}<tr><td class="n">{{clock .Begin}}</td><td class="n">{{span .}}</td><td>{{range $i, $why := .Reasons}}{{if $i}}; {{end}}{{$why}}{{else}}<strong>unexplained</strong>{{end}}</td></tr>
{{end}}</tbody></table>{{else}}<p>{{.Words.NoGap}}</p>{{end}}
<h2>{{.Words.Rate}}</h2>
<p class="note">{{.Rate.Summary}}</p>
<div class="scroll" tabindex="0" role="region" aria-label="drawing of answers per second over time">
<svg viewBox="-{{x .Left}} -10 {{x (add .Left 1020)}} 198" role="img" aria-label="{{.Words.Rate}}: {{.Rate.Summary}}">
{{template "time" (.Frame 160.0)}}{{range .Rate.Ticks}}{{template "height" .}}{{end}}<path class="bars" d="{{.Rate.Bars}}"/>
</svg></div>
<h2>{{.Words.Took}}</h2>
<p class="note">{{.Latency.Summary}}. The axis is logarithmic. {{.Words.Dots}}</p>
<div class="scroll" tabindex="0" role="region" aria-label="drawing of how long each took">
<svg viewBox="-{{x .Left}} -10 {{x (add .Left 1020)}} 198" role="img" aria-label="{{.Words.Took}}: {{.Latency.Summary}}">
{{template "time" (.Frame 160.0)}}{{range .Latency.Ticks}}{{template "height" .}}{{end}}{{range .Latency.Dots}}<path class="dots {{.Kind}}" d="{{.Path}}"/>
{{end}}</svg></div>
<details><summary>Both drawings as a table</summary>
<div class="scroll" tabindex="0" role="region" aria-label="table of answers over time">
<table><caption>Answers</caption><thead><tr><th scope="col">seconds</th><th scope="col" class="n">answers</th><th scope="col" class="n">a second</th><th scope="col" class="n">without an answer</th><th scope="col" class="n">half took at most</th><th scope="col" class="n">the longest</th></tr></thead>
<tbody>{{range .Parts}}<tr><td>{{.From}} to {{.To}}</td><td class="n">{{grouped .Answers}}</td><td class="n">{{x .PerSecond}}</td><td class="n">{{.Unknown}}</td><td class="n">{{.Median}}</td><td class="n">{{.Slowest}}</td></tr>
{{end}}</tbody></table></div></details>
{{if .Kinds}}<h2>What was asked for, and the answers</h2>
<div class="scroll" tabindex="0" role="region" aria-label="table of outcomes">
<table><thead><tr><th scope="col">asked for</th><th scope="col">answer</th><th scope="col" class="n">times</th><th scope="col" class="n">share</th><th scope="col">that is</th></tr></thead>
<tbody>{{range .Kinds}}{{$k := .}}{{range $i, $a := .Answers}}<tr>{{if not $i}}<th scope="rowgroup" rowspan="{{len $k.Answers}}">{{$k.Kind}}</th>{{end}}<td>{{.Answer}}</td><td class="n">{{grouped .Count}}</td><td class="n">{{x .Share}} %</td><td>{{.Meaning}}</td></tr>
{{end}}{{end}}</tbody></table></div>
{{end}}{{if .Figures}}<h2>How much was tried</h2>
<table><tbody>{{range .Figures}}<tr><th scope="row">{{.What}}</th><td class="n">{{grouped .Count}}</td></tr>
{{end}}</tbody></table>
{{end}}</main></body></html>
{{define "time"}}{{range .Gaps}}<rect class="gap" x="{{x .X}}" y="-4" width="{{x .W}}" height="{{x (add $.Height 4)}}"><title>{{.Title}}</title></rect>
{{end}}{{range .Ticks}}<line class="line" x1="{{x .At}}" x2="{{x .At}}" y1="0" y2="{{x $.Height}}"/><text class="axis" x="{{x .At}}" y="{{x (add $.Height 16)}}" text-anchor="middle">{{.Text}}</text>
{{end}}{{range .Won}}<line class="won" x1="{{x .}}" x2="{{x .}}" y1="0" y2="{{x $.Height}}"/>
{{end}}{{end}}{{define "height"}}<line class="line" x1="0" x2="1000" y1="{{x .At}}" y2="{{x .At}}"/><text class="axis" x="-8" y="{{x (add .At 4)}}" text-anchor="end">{{.Text}}</text>
{{end}}`
