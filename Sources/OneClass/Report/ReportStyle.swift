/// The look of a report: light or dark as the reader's system is, readable from 320 pixels up, in print too.
let reportStyle = """
    :root{color-scheme:light dark;--ground:#fbfbfa;--card:#fff;--ink:#1d2126;--soft:#5c6670;--line:#dfe2e6;
    --one:#1f5fbf;--two:#b3541e;--three:#2a7d4f;--four:#8a3fa0;--good:#1f5fbf;--bad:#c2452d}
    @media(prefers-color-scheme:dark){:root{--ground:#14171b;--card:#1c2026;--ink:#e7eaee;--soft:#9aa5b1;
    --line:#333a43;--one:#7fb0ff;--two:#ffab73;--three:#7fd6a4;--four:#d9a3ea;--good:#7fb0ff;--bad:#ff8a6e}}
    *{box-sizing:border-box}
    body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
    main{max-width:1180px;margin:0 auto;padding:24px 20px 64px}
    h1{font-size:1.7rem;line-height:1.2;margin:.2em 0}h2{font-size:1.2rem;margin:2em 0 .6em}
    p{max-width:70ch}.soft,figcaption,caption{color:var(--soft)}
    a{color:var(--one)}:focus-visible{outline:3px solid var(--one);outline-offset:2px;border-radius:4px}
    .skip{position:absolute;left:-9999px}.skip:focus{left:16px;top:8px;background:var(--card);padding:8px}
    .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0;padding:0}
    .tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
    .tiles dt{color:var(--soft);font-size:.85rem}.tiles dd{margin:0;font-size:1.5rem;font-variant-numeric:tabular-nums}
    .pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:16px}
    figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px;min-width:0}
    figure img{display:block;width:100%;height:auto;border-radius:4px}figcaption{font-size:.85rem;margin-top:6px;
    overflow-wrap:anywhere}
    .images{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:12px}
    figure:has(svg){overflow-x:auto}svg{display:block;width:100%;min-width:300px;max-width:560px;height:auto;margin:0 auto;
    font:13px system-ui,sans-serif}svg text{fill:var(--soft)}
    svg .strong{fill:var(--ink)}.grid{stroke:var(--line)}
    polyline{fill:none;stroke-width:2}.line1{stroke:var(--one)}
    .line2{stroke:var(--two)}.line3{stroke:var(--three)}.line4{stroke:var(--four)}
    circle.line1{fill:var(--one)}circle.line2{fill:var(--two)}circle.line3{fill:var(--three)}circle.line4{fill:var(--four)}
    polyline.dashed,line.dashed{stroke-dasharray:6 4}
    .spread{stroke-width:1.5}.published{fill:var(--card);stroke:var(--ink);stroke-width:1.5}line.published{stroke-width:1}
    polygon.line1{stroke:var(--one)}polygon.line2{stroke:var(--two)}polygon.line3{stroke:var(--three)}polygon.line4{stroke:var(--four)}
    .guide{stroke:var(--soft);stroke-dasharray:4 4;stroke-width:1}
    .threshold{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:6 3}
    .normal{fill:var(--good);fill-opacity:.6}.outlier{fill:var(--bad);fill-opacity:.6}
    .scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
    th,td{padding:6px 10px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
    th:first-child,td:first-child,.words td{text-align:left}.words td{white-space:normal}
    .words th{font-weight:600;vertical-align:top;white-space:normal;width:30%}thead th{color:var(--soft);font-weight:600}
    .pictures{width:auto}.pictures td,.pictures th{padding:4px;vertical-align:middle;text-align:center}
    .pictures img{display:block;width:150px;height:auto;border-radius:4px}h3{font-size:1rem;margin:1.4em 0 .4em}
    li{max-width:80ch}
    pre{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px;font-size:.85rem}
    summary{cursor:pointer;padding:6px 0}
    @media print{details{display:block}}
    """
