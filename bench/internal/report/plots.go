package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"regexp"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"client-go-lessons/bench/internal/result"
)

// The plots have no background, and colors of middle brightness, so that they can be read on a
// white page and on a black one.
var (
	ink     = color.RGBA{0x76, 0x7f, 0x8a, 0xff}
	grid    = color.RGBA{0x76, 0x7f, 0x8a, 0x38}
	palette = []color.Color{
		color.RGBA{0x2f, 0x81, 0xf7, 0xff}, // blue
		color.RGBA{0xd9, 0x82, 0x2b, 0xff}, // orange
		color.RGBA{0x2d, 0xa4, 0x4e, 0xff}, // green
		color.RGBA{0xa0, 0x6c, 0xe8, 0xff}, // purple
		color.RGBA{0xdb, 0x4c, 0x4c, 0xff}, // red
		color.RGBA{0x1b, 0x9a, 0xaa, 0xff}, // teal
		color.RGBA{0xb0, 0x8c, 0x00, 0xff}, // olive
		ink,
	}
)

const width, height = 20 * vg.Centimeter, 10.5 * vg.Centimeter

// curve is one line of a plot. A second one in the same color is dashed.
type curve struct {
	name   string
	color  int
	dashed bool
	points plotter.XYs
}

func (c *curve) add(x, y float64) { c.points = append(c.points, plotter.XY{X: x, Y: y}) }

// plots draws what there are results for.
func plots(r *result.Results) (map[string][]byte, error) {
	files := map[string][]byte{}
	var failed error
	save := func(name string, p *plot.Plot) {
		if p == nil || failed != nil {
			return
		}
		svg, err := draws(p)
		if err != nil {
			failed = fmt.Errorf("plot %s: %w", name, err)
			return
		}
		files[Plots+"/"+name+".svg"] = svg
	}
	if r.Reads != nil {
		save("reads", readsPlot(r.Reads))
	}
	if r.Sync != nil {
		for _, bytes := range []int{result.Small, result.Big} {
			name := map[int]string{result.Small: "sync", result.Big: "sync-big"}[bytes]
			save(name, syncPlot(r.Sync, bytes))
			save("memory"+name[len("sync"):], memoryPlot(r.Sync, bytes))
		}
	}
	if len(r.Sharing) > 0 {
		save("sharing", sharingPlot(r.Sharing))
	}
	if len(r.Lag) > 0 {
		save("lag", lagPlot(r.Lag))
		save("histogram", histogramPlot(r.Lag))
		save("remedies", remediesPlot(r.Lag))
	}
	return files, failed
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Color = ink
	p.Title.TextStyle.Font.Size = 13
	p.Title.Padding = 8
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Label.TextStyle.Color, a.Tick.Color, a.Tick.Label.Color = ink, ink, ink, ink
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = 11, 10
		a.Padding = 4
	}
	p.Legend.TextStyle.Color = ink
	p.Legend.TextStyle.Font.Size = 10
	p.Legend.Padding = 2
	p.Legend.Top = true
	lines := plotter.NewGrid()
	lines.Vertical.Color, lines.Horizontal.Color = color.Transparent, grid
	p.Add(lines)
	return p
}

// draw adds the curves, with the legend on the right, outside.
func (c *curve) draw(p *plot.Plot) {
	line, points, err := plotter.NewLinePoints(c.points)
	if err != nil {
		return // no points: nothing to show
	}
	line.Color, points.Color = palette[c.color%len(palette)], palette[c.color%len(palette)]
	line.Width = 1.8
	points.Shape, points.Radius = draw.CircleGlyph{}, 2.6
	if c.dashed {
		line.Dashes = []vg.Length{5, 3}
		points.Shape = draw.RingGlyph{}
	}
	p.Add(line, points)
	p.Legend.Add(c.name, line, points)
}

func logTimes(a *plot.Axis) {
	a.Scale = plot.LogScale{}
	a.Tick.Marker = powers(func(v float64) string { return strings.Replace(Duration(v), ".0", "", 1) })
}

// powers puts a labeled tick at each power of ten.
func powers(label func(float64) string) plot.TickerFunc {
	return func(low, high float64) (ticks []plot.Tick) {
		for at := math.Pow(10, math.Floor(math.Log10(low))); at <= high*1.0001; at *= 10 {
			if at >= low*0.9999 {
				ticks = append(ticks, plot.Tick{Value: at, Label: label(at)})
			}
		}
		return ticks
	}
}

// rounded extends a logarithmic axis to powers of ten.
func rounded(a *plot.Axis) {
	a.Min = math.Pow(10, math.Floor(math.Log10(a.Min)))
	a.Max = math.Pow(10, math.Ceil(math.Log10(a.Max)))
}

// at puts a tick at each of these values.
func at(values []float64, label func(float64) string) plot.Ticker {
	var ticks []plot.Tick
	for _, v := range values {
		ticks = append(ticks, plot.Tick{Value: v, Label: label(v)})
	}
	return plot.ConstantTicks(ticks)
}

func readsPlot(r *result.Reads) *plot.Plot {
	p := newPlot("One read, by the number of ConfigMaps (1 kB each)", "ConfigMaps", "p50 (log scale)")
	p.X.Scale = plot.LogScale{}
	logTimes(&p.Y)
	ways := []curve{
		{name: "List", color: 4}, {name: "List, pages of 500", color: 4, dashed: true}, {name: "List by label", color: 1},
		{name: "Get", color: 0}, {name: "Get, rv 0", color: 0, dashed: true}, {name: "GET /livez", color: 7},
		{name: "lister List", color: 3}, {name: "indexer by label", color: 6}, {name: "lister Get", color: 2},
		{name: "map, mutex", color: 7, dashed: true},
	}
	ops := []string{"list", "list paged", "list by label", "get", "get rv=0", "livez", "lister list", "indexer by label", "lister get", "map"}
	var sizes []float64
	for _, s := range r.Sizes {
		if s.ObjectBytes > result.Small {
			continue
		}
		sizes = append(sizes, float64(s.Objects))
		for i, name := range ops {
			if o := s.Find(name); o != nil && o.Latency.P50 > 0 {
				ways[i].add(float64(s.Objects), o.Latency.P50)
			}
		}
	}
	if len(sizes) < 2 {
		return nil
	}
	for i := range ways {
		ways[i].draw(p)
	}
	p.X.Tick.Marker = at(sizes, func(v float64) string { return Count(v) })
	rounded(&p.Y)
	return p
}

var modeNames = map[string]string{"stream": "streaming WATCH", "list+watch": "LIST + WATCH", "list": "List alone"}

func syncPlot(s *result.Sync, bytes int) *plot.Plot {
	objects := 0
	for _, r := range s.Runs { // the largest size that was tried with several at once
		if r.ObjectBytes == bytes && r.K > 1 {
			objects = max(objects, r.Objects)
		}
	}
	if objects == 0 {
		return nil
	}
	p := newPlot(fmt.Sprintf("Filling k caches at once: %s ConfigMaps of %s", Count(objects), Bytes(float64(bytes))),
		"caches filled at once", "time until all are full (s)")
	var ks []float64
	for i, mode := range modesOf(s.Runs) {
		c := curve{name: modeNames[mode], color: i}
		for _, r := range s.Runs {
			if r.Mode == mode && r.Objects == objects && r.ObjectBytes == bytes {
				c.add(float64(r.K), r.Seconds)
				if i == 0 {
					ks = append(ks, float64(r.K))
				}
			}
		}
		c.draw(p)
	}
	p.X.Scale, p.Y.Min = plot.LogScale{}, 0
	p.X.Tick.Marker = at(ks, func(v float64) string { return Count(v) })
	p.Legend.Left = true
	return p
}

func memoryPlot(s *result.Sync, bytes int) *plot.Plot {
	p := newPlot("", "caches filled at once", "growth of resident memory (MB)")
	var ks []float64
	for i, mode := range modesOf(s.Runs) {
		c := curve{name: modeNames[mode], color: i}
		for _, m := range s.Memory {
			if m.Mode != mode || m.ObjectBytes != bytes {
				continue
			}
			p.Title.Text = fmt.Sprintf("API server and etcd: memory while k caches fill, %s ConfigMaps of %s",
				Count(m.Objects), Bytes(float64(bytes)))
			c.add(float64(m.K), m.Growth()/1e6)
			if i == 0 {
				ks = append(ks, float64(m.K))
			}
		}
		c.draw(p)
	}
	if len(ks) == 0 {
		return nil
	}
	p.X.Scale, p.Y.Min = plot.LogScale{}, 0
	p.X.Tick.Marker = at(ks, func(v float64) string { return Count(v) })
	p.Legend.Left = true
	return p
}

func sharingPlot(shares []result.Share) *plot.Plot {
	p := newPlot(fmt.Sprintf("k handlers on %s ConfigMaps: memory that the client keeps", Count(shares[0].Objects)),
		"handlers", "client heap (MB)")
	one, many := curve{name: "one factory", color: 2}, curve{name: "k factories", color: 4}
	var ks []float64
	for _, s := range shares {
		if s.Factories == 1 {
			one.add(float64(s.K), s.Heap/1e6)
			ks = append(ks, float64(s.K))
		}
		if s.Factories == s.K {
			many.add(float64(s.K), s.Heap/1e6)
		}
	}
	many.draw(p)
	one.draw(p)
	p.X.Tick.Marker = at(ks, func(v float64) string { return Count(v) })
	p.Y.Min = 0
	p.Legend.Left = true
	return p
}

// loadTicks puts the loads side by side: they are no numbers on one scale.
func loadTicks(loads []result.Load) plot.Ticker {
	var ticks []plot.Tick
	for i, l := range loads {
		label := l.Name
		if l.Name == "max" {
			label = "max: " + Count(math.Round(l.Written))
		}
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: label})
	}
	return plot.ConstantTicks(ticks)
}

func lagPlot(loads []result.Load) *plot.Plot {
	p := newPlot("From sending a write until it is seen", "writes a second by others", "time (log scale)")
	logTimes(&p.Y)
	curves := []curve{
		{name: "fresh.Waiter, p99", color: 4}, {name: "floor, p99", color: 4, dashed: true},
		{name: "fresh.Waiter, p50", color: 0}, {name: "floor, p50", color: 0, dashed: true},
	}
	for i, l := range loads {
		for j, v := range []float64{l.Wait.P99, l.Floor.P99, l.Wait.P50, l.Floor.P50} {
			if j >= 2 || l.Wait.N >= enough { // there is no p99 of less
				curves[j].add(float64(i), v)
			}
		}
	}
	for i := range curves {
		curves[i].draw(p)
	}
	p.X.Tick.Marker = loadTicks(loads)
	rounded(&p.Y)
	return p
}

func histogramPlot(loads []result.Load) *plot.Plot {
	p := newPlot("How long the cache was behind an answered write", "behind for up to", "share of writes (%)")
	const bar = vg.Length(14)
	var ticks []plot.Tick
	for i, l := range loads {
		var values plotter.Values
		for j, b := range l.Histogram {
			values = append(values, 100*float64(b.Count)/float64(max(l.Probes, 1)))
			if i == 0 {
				label := Duration(b.UpTo)
				if b.UpTo == 0 {
					label = "longer"
				}
				ticks = append(ticks, plot.Tick{Value: float64(j), Label: label})
			}
		}
		bars, err := plotter.NewBarChart(values, bar)
		if err != nil {
			continue
		}
		bars.Color, bars.LineStyle.Width = palette[i%len(palette)], 0
		bars.Offset = bar * (vg.Length(i) - vg.Length(len(loads)-1)/2)
		p.Add(bars)
		p.Legend.Add(loadName(l), bars)
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Min = 0
	return p
}

func remediesPlot(loads []result.Load) *plot.Plot {
	p := newPlot("Reads of which one in five follows a write", "writes a second by others", "p99 (log scale)")
	logTimes(&p.Y)
	var curves []curve
	drawn := 0
	for i, l := range loads {
		for j, r := range l.Remedies {
			if i == 0 {
				curves = append(curves, curve{name: r.Name, color: j})
			}
			if r.Latency.P99 > 0 && r.Latency.N >= enough {
				curves[j].add(float64(i), r.Latency.P99)
				drawn++
			}
		}
	}
	if drawn == 0 {
		return nil
	}
	for i := range curves {
		curves[i].draw(p)
	}
	p.X.Tick.Marker = loadTicks(loads)
	rounded(&p.Y)
	return p
}

// draws writes a plot as SVG, with its legend in a column of its own on the right.
func draws(p *plot.Plot) ([]byte, error) {
	legend := p.Legend
	p.Legend = plot.NewLegend()
	canvas := vgsvg.New(width, height)
	whole := draw.New(canvas)
	// The reader's fonts may be wider than those that were measured with.
	room := legend.Rectangle(whole).Size().X*1.2 + 0.5*vg.Centimeter
	p.Draw(draw.Crop(whole, 0, -room, 0, 0))
	legend.Left, legend.Top = true, true
	legend.Draw(draw.Crop(whole, width-room+0.25*vg.Centimeter, 0, 0, -1*vg.Centimeter))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, err
	}
	return portable(out.Bytes()), nil
}

var fontFamily = regexp.MustCompile(`font-family:[^;"]*`)

// portable names fonts that every system has.
func portable(svg []byte) []byte {
	return fontFamily.ReplaceAll(svg, []byte("font-family:Helvetica,Arial,sans-serif"))
}
