import OCCEngine

/// What calibrations keep of their promise, over many drawn sets of features: for the table in the
/// documentation, and for the tests.
///
/// Normal features are Gaussian, about a mean and with a covariance that are drawn anew for each seed, so
/// that the distance between examples and the shape of the set vary. Anomalies are shifted by `shift`
/// deviations in a direction of their own.
package struct CalibrationSimulation: Sendable {
    /// How the threshold is calibrated.
    package enum Way: Sendable, Equatable {
        /// By so many of the images, which are held out.
        case split(heldOut: Int)
        /// By all of them, in so many folds.
        case cross(folds: Int)
        /// By the scores of the images that the detector was fitted on: what must not be done.
        case own
    }

    /// A number's mean over the seeds.
    package struct Mean: Sendable, Equatable {
        package let value: Double
        /// The deviation over seeds.
        package let deviation: Double
        /// The standard error of the mean.
        package let error: Double

        init(_ values: [Double]) {
            let count = Double(values.count), mean = values.reduce(0, +) / count
            let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            value = mean
            deviation = (squares / max(1, count - 1)).squareRoot()
            error = deviation / count.squareRoot()
        }
    }

    /// What a rate asked for gave.
    package struct Outcome: Sendable, Equatable {
        package let promise: FalseAlarmPromise
        /// The shares of new normal examples that are alarms.
        package let falseAlarms: Mean
        /// The shares of anomalies that are found.
        package let detections: Mean
        /// The share of seeds whose rate of false alarms is at most the promise's bound of 95 %.
        package let withinBound: Double?
    }

    package var detector: any Detector
    package var columns = 16
    package var seeds: UInt64 = 200
    /// New normal examples, and anomalies, to a seed.
    package var queries = 1000
    package var shift = 3.0

    package init(_ detector: any Detector) { self.detector = detector }

    /// Calibrates on `images` normal examples of each seed; an outcome for each rate.
    package func run(images: Int, _ way: Way, rates: [Double]) throws -> [Outcome] {
        let seeds = (0..<seeds).map { $0 }
        // Each seed's detectors run on one thread: seeds are what is parallel.
        let scored = try parallelMap(seeds.count) { index in
            Result { try scores(seed: seeds[index], images: images, way) }
        }.map { try $0.get() }
        return rates.map { rate in
            var alarms: [Double] = [], found: [Double] = [], within = 0
            var promise = FalseAlarmPromise(count: 0, asked: rate)
            for scores in scored {
                let calibration = ThresholdCalibration(
                    scores: scores.calibration, falseAlarmRate: rate, kind: scores.kind)
                promise = calibration.promise
                func share(_ values: [Double]) -> Double {
                    Double(values.count { calibration.isAlarm($0) == true }) / Double(values.count)
                }
                alarms.append(share(scores.normals))
                found.append(share(scores.anomalies))
                if let bound = promise.bound(), alarms.last! <= bound { within += 1 }
            }
            return Outcome(
                promise: promise, falseAlarms: Mean(alarms), detections: Mean(found),
                withinBound: promise.bound() == nil ? nil : Double(within) / Double(seeds.count))
        }
    }

    private struct Scores: Sendable {
        let kind: CalibrationKind
        let calibration, normals, anomalies: [Double]
    }

    private func scores(seed: UInt64, images: Int, _ way: Way) throws -> Scores {
        var random = CounterRandom(seed: seed, stream: RandomStream.simulation)
        let mixing = (0..<columns * columns).map { _ in random.normal() }
        let scale = (0..<columns).map { _ in 0.3 + random.uniform() }
        let mean = (0..<columns).map { _ in 2 * random.normal() }
        func examples(_ count: Int, shifted: Bool = false) -> FeatureMatrix {
            var values: [Float] = []
            for _ in 0..<count {
                var latent = (0..<columns).map { scale[$0] * random.normal() }
                if shifted {
                    let way = (0..<columns).map { _ in random.normal() }
                    let length = way.reduce(0) { $0 + $1 * $1 }.squareRoot()
                    for c in 0..<columns { latent[c] += shift * scale[c] * way[c] / length }
                }
                for row in 0..<columns {
                    let mixed = (0..<columns).reduce(0.0) { $0 + mixing[row * columns + $1] * latent[$1] }
                    values.append(Float(mean[row] + mixed / Double(columns).squareRoot()))
                }
            }
            return FeatureMatrix(rows: count, columns: columns, values: values)
        }
        let all = examples(images), normals = examples(queries), anomalies = examples(queries, shifted: true)
        let fitted: any OneClassClassifier, calibration: [Double], kind: CalibrationKind
        switch way {
        case .split(let held):
            fitted = try detector.fit(all.subset(0..<images - held))
            (calibration, kind) = (try fitted.scores(all.subset(images - held..<images)), .split)
        case .cross(let count):
            let folds = DetectorEnsemble.folds(count, of: images, seed: seed)
            let ensemble = try DetectorEnsemble(
                fitting: all, folds: folds, count: count
            ) { try detector.fit($0) }
            calibration = try (0..<count).flatMap { fold in
                try ensemble.members[fold].scores(all.subset(folds.indices.filter { folds[$0] == fold }))
            }
            (fitted, kind) = (ensemble, .cross)
        case .own:
            fitted = try detector.fit(all)
            (calibration, kind) = (try fitted.scores(all), .split)
        }
        return Scores(
            kind: kind, calibration: calibration, normals: try fitted.scores(normals),
            anomalies: try fitted.scores(anomalies))
    }
}
