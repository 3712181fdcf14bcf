import Foundation
import OCCDetectors
import TestSupport
import Testing

/// Scores and metrics against scikit-learn (Tests/Fixtures/make_detector_fixtures.py).
@Suite struct ScikitLearnFixtureTests {
    struct SVM: Decodable {
        let scores: [Double]
        let objective: Double, rho: Double
    }

    struct Metrics: Decodable {
        let scores: [Double]
        let labels: [Int]
        let auroc: Double, averagePrecision: Double, bestF1: Double, fpr95: Double

        enum CodingKeys: String, CodingKey {
            case scores, labels, auroc
            case averagePrecision = "average_precision"
            case bestF1 = "best_f1"
            case fpr95
        }
    }

    struct Detectors: Decodable {
        let train: [[Float]], test: [[Float]]
        let gamma: Double
        let kde: [Double], gaussian: [Double], ledoitWolf: [Double], knn1: [Double], knn3: [Double]
        let mahalanobis1: [Double], mahalanobis3: [Double]
        let rbf: SVM, linear: SVM, rbfSmallNu: SVM

        enum CodingKeys: String, CodingKey {
            case train, test, gamma, kde, gaussian
            case ledoitWolf = "gaussian ledoit-wolf"
            case knn1 = "knn 1"
            case knn3 = "knn 3"
            case mahalanobis1 = "knn-mahalanobis 1"
            case mahalanobis3 = "knn-mahalanobis 3"
            case rbf = "ocsvm-rbf"
            case linear = "ocsvm-linear"
            case rbfSmallNu = "ocsvm-rbf nu=0.1"
        }
    }

    struct Fixture: Decodable {
        let detectors: Detectors
        let metrics: [Metrics]
    }

    let fixture: Fixture
    let train: FeatureMatrix, test: FeatureMatrix

    init() throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: fixturePath("detectors.json")))
        fixture = try JSONDecoder().decode(Fixture.self, from: data)
        func matrix(_ rows: [[Float]]) -> FeatureMatrix {
            FeatureMatrix(rows: rows.count, columns: rows[0].count, values: rows.flatMap { $0 })
        }
        train = matrix(fixture.detectors.train)
        test = matrix(fixture.detectors.test)
    }

    /// The largest difference, relative to the spread of the expected values where that is larger than they
    /// are.
    private func worst(_ got: [Double], _ expected: [Double]) -> Double {
        zip(got, expected).map { abs($0 - $1) / max(abs($1), 1e-3) }.max() ?? .infinity
    }

    @Test func kernelDensity() throws {
        let detector = try KernelDensity().fit(train)
        let gamma = try detector.state.number("gamma")
        #expect(abs(gamma - fixture.detectors.gamma) <= 1e-6 * gamma)
        #expect(worst(try detector.scores(test), fixture.detectors.kde) <= 1e-6)
    }

    /// Ten rows of twelve columns: only shrunk is the covariance regular.
    @Test func ledoitWolf() throws {
        let few = train.subset(Array(0..<10))
        let detector = try GaussianDensity(shrinkage: -1).fit(few)
        #expect(worst(try detector.scores(test), fixture.detectors.ledoitWolf) <= 1e-6)
    }

    @Test func gaussian() throws {
        #expect(worst(try GaussianDensity().fit(train).scores(test), fixture.detectors.gaussian) <= 1e-6)
    }

    @Test func nearestNeighbors() throws {
        for (neighbors, expected) in [(1, fixture.detectors.knn1), (3, fixture.detectors.knn3)] {
            let detector = try NearestNeighbors(neighbors: neighbors).fit(train)
            #expect(worst(try detector.scores(test), expected) <= 2e-4)
        }
    }

    @Test func nearestByMahalanobis() throws {
        let known = fixture.detectors
        for (neighbors, expected) in [(1, known.mahalanobis1), (3, known.mahalanobis3)] {
            let detector = try MahalanobisNearestNeighbors(neighbors: neighbors).fit(train)
            #expect(worst(try detector.scores(test), expected) <= 1e-6)
        }
    }

    @Test(arguments: [("rbf", 0.5), ("linear", 0.5), ("rbf", 0.1)])
    func oneClassSVM(_ kernel: String, _ nu: Double) throws {
        let expected =
            kernel == "linear"
            ? fixture.detectors.linear : nu == 0.5 ? fixture.detectors.rbf : fixture.detectors.rbfSmallNu
        let unfitted = OneClassSVM(kernel: kernel == "linear" ? .linear : .rbf, nu: nu, tolerance: 1e-10)
        let detector = try #require(try unfitted.fit(train) as? FittedOneClassSVM)
        #expect(detector.report.gap <= unfitted.tolerance)
        #expect(abs(detector.report.objective - expected.objective) <= 1e-4 * expected.objective)
        #expect(worst(try detector.scores(test), expected.scores) <= 1e-6)
        #expect(abs(detector.rho - expected.rho) <= 1e-6 * abs(expected.rho))
    }

    /// At the default tolerance the objective is still within the promise.
    @Test func looseToleranceKeepsTheObjective() throws {
        let unfitted = OneClassSVM(kernel: .rbf)
        let detector = try #require(try unfitted.fit(train) as? FittedOneClassSVM)
        #expect(detector.report.gap <= unfitted.tolerance)
        #expect(
            abs(detector.report.objective - fixture.detectors.rbf.objective) <= 1e-4
                * fixture.detectors.rbf.objective)
    }

    @Test func rankingMetrics() throws {
        for expected in fixture.metrics {
            let metrics = try RankingMetrics(scores: expected.scores, labels: expected.labels)
            #expect(abs(metrics.auroc - expected.auroc) <= 1e-12)
            #expect(abs(metrics.averagePrecision - expected.averagePrecision) <= 1e-12)
            #expect(abs(metrics.bestF1.value - expected.bestF1) <= 1e-12)
            #expect(abs(metrics.falsePositiveRate(atTruePositiveRate: 0.95) - expected.fpr95) <= 1e-12)
        }
    }
}
