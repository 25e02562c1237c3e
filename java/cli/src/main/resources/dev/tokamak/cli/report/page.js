
(() => {
  const { charts } = JSON.parse(document.getElementById("data").textContent);
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const shorter = value => {
    if (value == null) return "–";
    const size = Math.abs(value);
    if (size >= 1e15 || (size !== 0 && size < 0.001)) return value.toExponential(2).replace(/\.?0*e/, "e");
    if (size >= 1e4) {
      const thousands = Math.floor(Math.log10(size) / 3);
      return Number((value / 1000 ** thousands).toPrecision(4)) + " " + " kMGT"[thousands];
    }
    return Number(value.toPrecision(4)).toString();
  };
  const drawn = [];

  function draw(place) {
    const chart = charts[place.dataset.chart];
    // Lines have their own x; what is not in one of them is a gap to be spanned.
    const data = uPlot.join(chart.lines.map(line => [line.x, line.y]));
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--edge"), width: 1 }, ticks: { show: false } };
    let next = 0;
    const series = chart.lines.map((line, i) => {
      const faint = line.look === "FAINT";
      const stroke = colour("--line" + (1 + (faint ? next : next++) % 4));
      return {
        label: line.name, stroke: faint ? stroke + "55" : stroke, width: faint ? 1 : 2, spanGaps: true,
        points: { show: line.look === "DOTS" || line.x.length < 3, size: 6, fill: stroke },
        value: (_, value) => shorter(value),
      };
    });
    const plot = new uPlot({
      width: place.clientWidth, height: 260,
      scales: { x: { time: false }, y: { distr: chart.log ? 3 : 1 } },
      axes: [
        { ...axis, size: 30, font: "12px system-ui",
          values: (_, all) => all.map(v => v == null ? "" : Number.isInteger(v) ? v.toLocaleString("en") : "") },
        { ...axis, size: 58, font: "12px system-ui", values: (_, all) => all.map(v => v == null ? "" : shorter(v)) },
      ],
      series: [{ label: chart.x }, ...series],
      cursor: { focus: { prox: 24 } },
      legend: { live: true },
    }, data, place);
    drawn.push({ place, plot });
  }

  function drawAll() {
    drawn.splice(0).forEach(({ plot }) => plot.destroy());
    document.querySelectorAll(".chart").forEach(draw);
  }
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("resize", () =>
    drawn.forEach(({ place, plot }) => plot.setSize({ width: place.clientWidth, height: 260 })));

  document.querySelectorAll(".versions").forEach(section => {
    const texts = [...section.querySelectorAll("blockquote")];
    const slider = section.querySelector("input");
    const show = () => {
      texts.forEach((text, i) => { text.hidden = i !== Number(slider.value); });
      section.querySelector("output").textContent = texts[slider.value].dataset.label;
    };
    slider.addEventListener("input", show);
    show();
  });
})();
