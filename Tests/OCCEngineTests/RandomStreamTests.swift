import OCCEngine
import Testing

@Suite struct RandomStreamTests {
    @Test func noTwoConsumersMeet() {
        let claims = RandomStream.claims
        for (index, claim) in claims.enumerated() {
            for other in claims[(index + 1)...] {
                #expect(!claim.meets(other), "\(claim.base) and \(other.base)")
            }
        }
        #expect(claims[0].meets(claims[0]))
    }

    @Test func parametersKeepAwayFromEveryConsumer() {
        // FNV-1a of "a" is 0xE40C292C: nobody's.
        #expect(RandomStream.parameter("a") == 0xE40C_292C)
        // A name with the lower bits of the noise, whose blocks are nearly all there are.
        let hash = { (name: String) in
            name.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        }
        let name = (0...).lazy.map { "p\($0)" }.first { hash($0) & 0xFFF == RandomStream.noise }!
        #expect(RandomStream.parameter(name) == hash(name) + 1)
    }
}
