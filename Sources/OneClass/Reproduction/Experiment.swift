import OCCData
import OCCDetectors
import OCCEngine

/// A table or figure of a paper: what is trained for it, what is taken of each model, what the paper gives, and what
/// follows from it.
public struct Experiment: Sendable {
    /// A row of the table, or a point of a curve: a kind of model.
    public struct Row: Sendable {
        /// The name it is chosen by, such as `rotation` or `rotation-0.05`.
        public let name: String
        /// What it is, for people: the representation, or the curve that the point is of.
        public let series: String
        /// The name that all points of its curve are chosen by, and that published values are found by.
        public let representation: String
        /// Where the point lies on the horizontal axis; nil for a row of a table.
        public let x: Double?
        /// What makes the row: settings by name, as a command line has them, a method's and an encoder's among them.
        public let settings: [String: String]
        /// What is taken of each model.
        public let measures: [ProtocolMeasure]
        /// The representation of the paper's tables that it is; nil where they do not have this very model.
        public let published: String?

        /// Whether its encoder stays as it is drawn or given.
        let isUntrained: Bool
        /// Whether it begins with given weights, so that it is left out where none are given.
        public let takesWeights: Bool
        /// Whether its encoder may collapse, which is what it shows: it is at chance then, and no failure.
        public let mayCollapse: Bool

        /// Whether it is judged by the method's own score, and by no detector of features.
        var scoresItself: Bool {
            measures.contains { if case .detector(let own, _) = $0 { own is OwnScore } else { false } }
        }

        /// A row of a table.
        ///
        /// - Parameter isPublished: whether the paper's tables have this very model.
        init(
            _ series: String, _ representation: String, _ settings: [String: String],
            measures: [ProtocolMeasure], isUntrained: Bool = false, takesWeights: Bool = false,
            mayCollapse: Bool = false, isPublished: Bool = true
        ) {
            self.mayCollapse = mayCollapse
            (self.series, self.representation, self.settings) = (series, representation, settings)
            published = isPublished ? representation : nil
            (self.measures, x, name) = (measures, nil, representation)
            (self.isUntrained, self.takesWeights) = (isUntrained, takesWeights)
        }

        /// A point of a curve.
        ///
        /// - Parameter published: the representation of the paper's tables that it is; nil for none.
        init(
            _ series: String, _ representation: String, x: (value: Double, text: String),
            _ settings: [String: String], measures: [ProtocolMeasure], published: String?
        ) {
            (self.series, self.representation, self.settings) = (series, representation, settings)
            (self.measures, self.published) = (measures, published)
            (isUntrained, takesWeights, mayCollapse) = (false, false, false)
            self.x = x.value
            name = "\(representation)-\(x.text)"
        }
    }

    /// What the curves are over.
    public struct Axis: Sendable {
        /// Its name.
        public let name: String
        /// What stands behind a value, such as " %".
        let unit: String
        /// What a value is multiplied by where it is shown: 100 for shares in percent.
        let factor: Double
        /// Whether values are apart by their ratio.
        let isLogarithmic: Bool
    }

    /// Which data sets it takes.
    public enum Data: Sendable {
        /// Any with classes, or normal and anomalous images.
        case any
        /// One whose training images have several classes.
        case classes
        /// The one of this name.
        case named(String)
        /// A folder of categories such as MVTec AD, or one category.
        case categories
    }

    /// What it draws beside its table.
    public enum Pictures: String, Sendable {
        /// Images and what raises their scores.
        case explanations
        /// Images and their maps.
        case maps
    }

    /// The name it is chosen by.
    public let name: String
    /// What it shows, in a line.
    public let summary: String
    /// Where it is published.
    public let source: String
    /// The data sets it takes.
    public let data: Data
    /// What is trained, in order.
    public let rows: [Row]
    /// What the curves are over; nil for a table.
    public let axis: Axis?
    /// Whether each class has a line, and not the mean alone.
    public let showsClasses: Bool
    /// What all rows have and options can override, as a command line has it.
    public let defaults: [String: String]
    /// The detector of the models themselves; what is compared is in the rows.
    public let detector: any Detector
    /// What it draws beside; nil for nothing.
    public let pictures: Pictures?
    /// What it can confirm.
    public let claims: [Claim]
    /// What a reader must know: where the paper's setting is not known, for instance.
    public let remarks: [String]
    /// Changes the configuration for a category.
    package let adjusting: @Sendable (String, inout RunConfiguration) -> Void

    package init(
        _ name: String, _ summary: String, source: String, data: Data = .any, rows: [Row],
        axis: Axis? = nil, showsClasses: Bool = false, defaults: [String: String] = [:],
        detector: any Detector = KernelDensity(), pictures: Pictures? = nil, claims: [Claim] = [],
        remarks: [String] = [],
        adjusting: @escaping @Sendable (String, inout RunConfiguration) -> Void = { _, _ in }
    ) {
        (self.name, self.summary, self.source, self.data) = (name, summary, source, data)
        (self.rows, self.axis, self.showsClasses, self.defaults) = (rows, axis, showsClasses, defaults)
        (self.detector, self.pictures, self.claims) = (detector, pictures, claims)
        (self.remarks, self.adjusting) = (remarks, adjusting)
    }

    /// The experiments by name, in the order of listings.
    public static let registry = Registry<Experiment>(
        "experiment",
        curves + tables + [systems] + [defects, cutPaste, cutPasteLocalization] + [
            explanations, localization,
        ]
    ) { $0.name }

    // MARK: Rows

    /// The rows of these names, or of curves of these names; nil for all.
    ///
    /// - Throws: `OCCError(.usage)` with the names there are.
    public func rows(named names: [String]?) throws -> [Row] {
        guard let names else { return rows }
        for name in names where !rows.contains(where: { $0.name == name || $0.representation == name }) {
            let all = rows.map(\.representation) + (axis == nil ? [] : rows.map(\.name))
            let unique = all.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
            throw SettingError("rows", "\(self.name) has no '\(name)'", choices: unique, given: name).error()
        }
        return rows.filter { names.contains($0.name) || names.contains($0.representation) }
    }

    /// The settings that the experiment gives all of its rows, so that options must not.
    public var ownSettings: Set<String> {
        rows.dropFirst().reduce(Set(rows.first?.settings.keys.map { $0 } ?? [])) {
            $0.intersection($1.settings.keys)
        }
    }

    /// The configuration of a row.
    ///
    /// - Parameters:
    ///   - overrides: settings by name, as a command line has them. What makes this row stays, and a setting of a
    ///     method that other rows have and this one has not is left out.
    ///   - budget: the share of the steps, above 0 and at most 1.
    /// - Throws: `OCCError(.usage)` for a setting that is the experiment's own, or no setting.
    public func configuration(
        of row: Row, overriding overrides: [String: String] = [:], budget: Double? = nil
    ) throws -> RunConfiguration {
        var c = RunConfiguration()
        // The papers train on all normal images; no threshold is asked for.
        c.holdOut = 0
        do {
            for (name, _) in overrides.sorted(by: { $0.key < $1.key }) where ownSettings.contains(name) {
                throw SettingError(
                    name, "\(self.name) gives its rows their own; choose among these by --rows")
            }
            var all = defaults
            if overrides["epochs"] != nil { all["steps"] = nil }
            all.merge(overrides) { $1 }
            all.merge(row.settings) { $1 }
            if !row.takesWeights { all["weights"] = nil }
            for component in ChosenComponent.all {
                if let name = all.removeValue(forKey: component.name) { try component.choose(&c, name) }
            }
            if !c.method.usesOutliers { all["outliers"] = nil }
            for (name, text) in all.sorted(by: { $0.key < $1.key }) { try set(name, text, in: &c) }
        } catch let error as SettingError {
            throw error.error()
        }
        if let budget { scale(&c, by: budget) }
        if row.isUntrained { c.steps = 0 }
        c.detector = row.scoresItself ? OwnScore() : detector
        try c.validate()
        return c
    }

    private func set(_ name: String, _ text: String, in c: inout RunConfiguration) throws {
        if try c.set(name: name, text: text) { return }
        for component in ChosenComponent.all {
            if try component.setText(&c, name, text) { return }
        }
        // Another row's method may have it.
        for other in rows {
            guard let method = other.settings["method"] else { continue }
            var entry = try Methods.registry.entry(method)
            if try entry.set(name: name, text: text) { return }
        }
        throw SettingError(
            name,
            "is no setting of a run, nor of the encoder \(c.encoder.name) and the methods of \(self.name)")
    }

    private func scale(_ c: inout RunConfiguration, by share: Double) {
        func scaled(_ count: Int) -> Int { max(1, Int((share * Double(count)).rounded())) }
        let whole = c.resolved
        if let steps = whole.steps {
            c.steps = steps == 0 ? 0 : scaled(steps)
        } else {
            c.epochs = scaled(whole.epochs!)
        }
    }
}
