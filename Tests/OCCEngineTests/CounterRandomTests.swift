import CKernels
import OCCEngine
import Testing

@Suite struct CounterRandomTests {
    /// Known-answer vectors of the Random123 distribution (kat_vectors, philox4x32 10 rounds).
    @Test func philoxKnownAnswers() {
        let zero = ck_philox(0, 0, 0, 0)
        #expect(
            [zero.v.0, zero.v.1, zero.v.2, zero.v.3] == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
        let ones = ck_philox(.max, .max, .max, .max)
        #expect(
            [ones.v.0, ones.v.1, ones.v.2, ones.v.3] == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd])
    }

    @Test func permutationIsABijectionAndRepeats() {
        var a = CounterRandom(seed: 3, stream: 1), b = CounterRandom(seed: 3, stream: 1)
        let p = a.permutation(1000)
        #expect(p.sorted() == Array(0..<1000))
        #expect(p == b.permutation(1000))
        #expect(p != a.permutation(1000))
    }
}
