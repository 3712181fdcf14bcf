import OCCDetectors
import OCCEngine

/// A fitted detector in PyTorch, in double precision: its arrays, and the lines of Python that score rows by them.
struct TorchDetector {
    /// The detectors that can be written so, by name.
    private static let known: [String: @Sendable (FittedDetector) throws -> TorchDetector] = [
        "kde": { try kernelDensity($0) },
        "gaussian": { try gaussian($0) },
        "knn": { try nearestNeighbors($0) },
        "knn-mahalanobis": { try nearestWhitened($0) },
        "ocsvm-rbf": { try supportVectors($0) },
        "ocsvm-linear": { try linearSupportVectors($0) },
        "svdd": { try dataDescription($0) },
    ]

    /// The lines of a function of `rows` [L,R,D] and of the arrays `d` that returns scores [L,R].
    let lines: [String]
    /// By name; their first extent is L or 1, where they have more than one.
    let arrays: [String: TensorFile.Entry]
    /// L.
    private(set) var locations = 1

    private init(lines: [String], arrays: [String: TensorFile.Entry]) {
        self.lines = lines
        self.arrays = arrays
    }

    /// Whether rows are divided by their norm before.
    static func normalizes(_ name: String) -> Bool { !["ocsvm-linear", "knn-mahalanobis"].contains(name) }

    /// The detectors whose mean the classifier is.
    ///
    /// - Throws: `OCCError(.usage)` for a detector that cannot be written in PyTorch.
    static func all(of classifier: any OneClassClassifier, named name: String) throws -> [TorchDetector] {
        guard let detector = known[name] else {
            throw OCCError(
                .usage, "\(setting: "detector") \(name): cannot be exported",
                remedy: "Train with one of \(known.keys.sorted().joined(separator: ", ")).")
        }
        return try FittedDetector.all(of: classifier).map { fitted in
            var own = try detector(fitted)
            own.locations = fitted.locations
            return own
        }
    }

    // MARK: Parts

    private static func doubles(_ values: [Double], _ shape: [Int]) -> TensorFile.Entry {
        TensorFile.Entry(values, shape: shape)
    }

    /// A number of each location, as [L,1,1] or [L,1].
    private static func numbers(_ values: [Double], rank: Int) -> TensorFile.Entry {
        doubles(values, [values.count] + [Int](repeating: 1, count: rank - 1))
    }

    private static func support(_ fitted: FittedDetector) throws -> TensorFile.Entry {
        let support = try fitted.support()
        return TensorFile.Entry(support.values.map(Float.init), shape: support.shape)
    }

    /// What makes the covariance of rows the identity.
    private static func whitening(_ fitted: FittedDetector) throws -> [String: TensorFile.Entry] {
        let mean = try fitted.mean(), whitening = try fitted.whitening()
        return [
            "mean": doubles(mean.values, [fitted.locations, 1, try fitted.columns]),
            "whitening": doubles(whitening.values, whitening.shape),
        ]
    }

    // MARK: Detectors

    private static func kernelDensity(_ fitted: FittedDetector) throws -> TorchDetector {
        TorchDetector(
            lines: [
                "exponents = 2 * d.gamma * (rows @ d.support.double().mT)",
                "return -exponents.logsumexp(-1) / d.gamma[..., 0]",
            ],
            arrays: [
                "support": try support(fitted), "gamma": numbers(try fitted.numbers("gamma"), rank: 3),
            ])
    }

    private static func gaussian(_ fitted: FittedDetector) throws -> TorchDetector {
        var arrays = try whitening(fitted)
        arrays["normalization"] = numbers(try fitted.normalization(), rank: 2)
        return TorchDetector(
            lines: [
                "return 0.5 * ((rows - d.mean) @ d.whitening).square().sum(-1) + d.normalization"
            ],
            arrays: arrays)
    }

    private static func nearestNeighbors(_ fitted: FittedDetector) throws -> TorchDetector {
        let neighbors = Int(try fitted.numbers("neighbors")[0])
        return TorchDetector(
            lines: [
                "known = d.support.double()",
                "both = (rows == 0).all(-1)[..., None] & (known == 0).all(-1)[:, None]  # alike",
                "return 1 - (rows @ known.mT + both).topk(\(neighbors)).values.mean(-1)",
            ],
            arrays: ["support": try support(fitted)])
    }

    private static func nearestWhitened(_ fitted: FittedDetector) throws -> TorchDetector {
        let neighbors = Int(try fitted.numbers("neighbors")[0])
        var arrays = try whitening(fitted)
        arrays["support"] = try support(fitted)
        return TorchDetector(
            lines: [
                "z, known = ((rows - d.mean) @ d.whitening).float().double(), d.support.double()",
                "nearness = 2 * z @ known.mT - known.square().sum(-1)[:, None]",
                "squares = z.square().sum(-1, keepdim=True) - nearness.topk(\(neighbors)).values",
                "return squares.clamp(min=0).sqrt().mean(-1)",
            ],
            arrays: arrays)
    }

    /// The lines and arrays of a kernel sum, which lies in `sums`.
    private static func kernelSums(_ fitted: FittedDetector) throws -> TorchDetector {
        let lengths = try fitted.squaredLengths(), multipliers = try fitted.multipliers().values
        return TorchDetector(
            lines: [
                "squares = rows.square().sum(-1, keepdim=True) + d.lengths - 2 * rows @ d.support.double().mT",
                "sums = torch.exp(-d.gamma * squares) @ d.multipliers",
            ],
            arrays: [
                "support": try support(fitted), "gamma": numbers(try fitted.numbers("gamma"), rank: 3),
                "lengths": doubles(lengths, [1, 1, lengths.count]),
                "multipliers": doubles(multipliers, [multipliers.count]),
            ])
    }

    private static func supportVectors(_ fitted: FittedDetector) throws -> TorchDetector {
        let sums = try kernelSums(fitted)
        return TorchDetector(lines: sums.lines + ["return -sums"], arrays: sums.arrays)
    }

    private static func linearSupportVectors(_ fitted: FittedDetector) throws -> TorchDetector {
        let normal = try fitted.normal()
        return TorchDetector(
            lines: ["return rows @ d.normal"], arrays: ["normal": doubles(normal, [normal.count])])
    }

    private static func dataDescription(_ fitted: FittedDetector) throws -> TorchDetector {
        let (offset, factor) = try fitted.description(), sums = try kernelSums(fitted)
        var arrays = sums.arrays
        arrays["offset"] = doubles([offset], [])
        arrays["factor"] = doubles([factor], [])
        return TorchDetector(lines: sums.lines + ["return d.offset + d.factor * sums"], arrays: arrays)
    }
}
