//! GF(2^16) modulo x^16 + x^12 + x^3 + x + 1 (`0x1100b`): the field of the erasure code.
//!
//! An element is a `u16`, bit i the coefficient of x^i. Addition is exclusive or. Everything here works on chunks of public keys and
//! ciphertexts and on their indices, all of which travel in the clear, so nothing has to hide from timing; there are no tables because
//! without them a whole chunk fits vector registers.

/// Elements of a chunk.
pub(super) const LANES: usize = 16;

/// What x^16 is congruent to.
const TAIL: u16 = 0x100B;

/// Product of two elements.
pub(super) const fn mul(a: u16, b: u16) -> u16 {
    let mut product = 0u32;
    let mut bit = 0;
    while bit < 16 {
        let set = (b as u32 >> bit) & 1;
        product ^= ((a as u32) << bit) & 0u32.wrapping_sub(set);
        bit += 1;
    }
    reduce(product)
}

/// A product has degree 30 at most. Each fold replaces x^16 by x^12 + x^3 + x + 1, which lowers the degree by four.
const fn reduce(mut value: u32) -> u16 {
    let mut fold = 0;
    while fold < 4 {
        let high = value >> 16;
        value = (value & 0xFFFF) ^ high ^ (high << 1) ^ (high << 3) ^ (high << 12);
        fold += 1;
    }
    value as u16
}

/// The inverse: a^(2^16 - 2). Zero has none and gives zero; callers only invert differences of distinct points.
pub(super) const fn inv(a: u16) -> u16 {
    let (mut result, mut square) = (1, a);
    let mut bit = 1;
    while bit < 16 {
        square = mul(square, square);
        result = mul(result, square);
        bit += 1;
    }
    result
}

/// The sum of `coefficient * vector` over all pairs, for sixteen elements at once: Horner's rule over the bits of the coefficients.
pub(super) fn combine<'a>(terms: impl Iterator<Item = (u16, &'a [u16; LANES])> + Clone) -> [u16; LANES] {
    let mut sum = [0u16; LANES];
    for bit in (0..16).rev() {
        for lane in &mut sum {
            *lane = (*lane << 1) ^ (TAIL & 0u16.wrapping_sub(*lane >> 15));
        }
        for (coefficient, vector) in terms.clone() {
            let mask = 0u16.wrapping_sub((coefficient >> bit) & 1);
            for (lane, element) in sum.iter_mut().zip(vector) {
                *lane ^= element & mask;
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use proptest::prelude::*;

    /// Schoolbook multiplication: shift, and subtract the polynomial whenever a bit falls out.
    fn slow(mut a: u16, mut b: u16) -> u16 {
        let mut product = 0;
        while b != 0 {
            if b & 1 == 1 {
                product ^= a;
            }
            let carry = a >> 15 == 1;
            a <<= 1;
            if carry {
                a ^= 0x100B;
            }
            b >>= 1;
        }
        product
    }

    #[test]
    fn x_to_the_sixteenth_is_the_polynomials_tail() {
        assert_eq!(mul(0x8000, 2), 0x100B);
        assert_eq!(mul(0x0100, 0x0100), 0x100B);
        assert_eq!(mul(0xFFFF, 0xFFFF), slow(0xFFFF, 0xFFFF));
    }

    #[test]
    fn every_element_but_zero_has_an_inverse() {
        for a in 1..=u16::MAX {
            assert_eq!(mul(a, inv(a)), 1, "{a:#x}");
        }
        assert_eq!(inv(0), 0);
    }

    proptest! {
        #[test]
        fn products_agree_with_schoolbook_multiplication(a: u16, b: u16) {
            prop_assert_eq!(mul(a, b), slow(a, b));
            prop_assert_eq!(mul(a, b), mul(b, a));
        }

        #[test]
        fn products_distribute_over_sums(a: u16, b: u16, c: u16) {
            prop_assert_eq!(mul(a, b ^ c), mul(a, b) ^ mul(a, c));
        }

        #[test]
        fn combining_is_multiplying_and_adding(terms: Vec<(u16, [u16; LANES])>) {
            let combined = combine(terms.iter().map(|(coefficient, vector)| (*coefficient, vector)));
            for (lane, found) in combined.iter().enumerate() {
                let expected = terms.iter().fold(0, |sum, (coefficient, vector)| sum ^ slow(*coefficient, vector[lane]));
                prop_assert_eq!(*found, expected);
            }
        }
    }
}
