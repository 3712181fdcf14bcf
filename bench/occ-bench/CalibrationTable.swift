import OCCCommandLine
import OCCDetectors
import OneClass

/// What thresholds keep of their promise where images are few: the table in the documentation.
let calibrationCommand = Command(
    name: "calibration",
    summary: "Simulates thresholds on drawn features: false alarms against the promise, anomalies found.",
    usage: "", examples: ["occ-bench calibration", "occ-bench calibration --detectors knn,ocsvm-rbf"],
    options: [
        Option("detectors", "LIST", "Detectors by name (gaussian,kde)."),
        Option("seeds", "N", "Drawn sets of features (1000)."),
        Option("folds", "K", "Of the cross calibration (5)."),
    ]
) { arguments in
    let seeds = arguments.value("seeds", as: Int.self) ?? 1000
    let folds = arguments.value("folds", as: Int.self) ?? 5
    guard (2...100_000).contains(seeds), (2...15).contains(folds) else {
        throw OCCError(.usage, "--seeds is 2 to 100000, --folds 2 to 15")
    }
    _ = try Device.cpu()
    let percent = { (value: Double) in String(format: "%.1f", 100 * value) }
    let fine = { (value: Double) in String(format: "%.2f", 100 * value) }
    try emit(
        """
        | detector | images | asked for | calibration | promise | false alarms | deviation | within bound | found |
        | --- | --- | --- | --- | --- | --- | --- | --- | --- |
        """)
    for name in arguments.list("detectors") ?? ["gaussian", "kde"] {
        let detector: any Detector
        do { detector = try Detectors.registry.entry(name) } catch let error as SettingError {
            throw error.error()
        }
        var simulation = CalibrationSimulation(detector)
        simulation.seeds = UInt64(seeds)
        for images in [30, 60, 209] {
            let held = OneClassSplit.heldOut(of: images), rates = [0.01, 0.05, 0.1]
            for (way, words) in [
                (CalibrationSimulation.Way.split(heldOut: held), "\(held) held out"),
                (.cross(folds: folds), "\(folds) folds"),
            ] {
                for (rate, outcome) in zip(rates, try simulation.run(images: images, way, rates: rates)) {
                    let alarms = outcome.falseAlarms
                    let cells = [
                        name, "\(images)", percent(rate), words,
                        percent(outcome.promise.rate ?? 1),
                        "\(fine(alarms.value)) ± \(fine(alarms.error))", percent(alarms.deviation),
                        outcome.withinBound.map(percent) ?? "", percent(outcome.detections.value),
                    ]
                    try emit("| \(cells.joined(separator: " | ")) |")
                }
            }
        }
    }
}
