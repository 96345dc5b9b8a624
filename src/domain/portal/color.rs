//! Brand colors, and their contrast (WCAG 2.2 §1.4.3).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An sRGB color.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Color([u8; 3]);

impl Color {
    pub const BLACK: Self = Self([0; 3]);
    pub const WHITE: Self = Self([255; 3]);

    /// Parses `#` and six hexadecimal digits.
    ///
    /// ```
    /// use keyturn::domain::portal::Color;
    /// assert_eq!(Color::parse("#0A66c2").unwrap().to_string(), "#0a66c2");
    /// for wrong in ["", "0a66c2", "#0a66c", "#0a66c2f", "#0a66cg", "#+a66c2", "red"] {
    ///     assert_eq!(Color::parse(wrong), None);
    /// }
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_digits(text.strip_prefix('#')?)
    }

    /// Parses six hexadecimal digits.
    pub fn parse_digits(digits: &str) -> Option<Self> {
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// Returns the six hexadecimal digits.
    pub fn digits(self) -> String {
        let [red, green, blue] = self.0;
        format!("{red:02x}{green:02x}{blue:02x}")
    }

    /// Returns the contrast with another color, from 1 to 21.
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// Returns black or white, for the higher contrast with this color. It is always above 4.5.
    pub fn text(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::BLACK) { Self::WHITE } else { Self::BLACK }
    }

    /// The relative luminance, from 0 to 1.
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.digits())
    }
}

impl Serialize for Color {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Color {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).ok_or_else(|| de::Error::custom("not a color"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_is_readable_on_every_color(parts in any::<[u8; 3]>()) {
            let color = Color(parts);
            prop_assert!(color.contrast(color.text()) > 4.5, "{color}");
            prop_assert_eq!(Color::parse(&color.to_string()), Some(color));
        }
    }

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        assert!((Color::BLACK.contrast(Color::WHITE) - 21.0).abs() < 1e-9);
        let gray = Color::parse("#767676").unwrap();
        assert!((4.5..4.6).contains(&gray.contrast(Color::WHITE)), "{}", gray.contrast(Color::WHITE));
        assert_eq!((Color::WHITE.text(), Color::BLACK.text()), (Color::BLACK, Color::WHITE));
    }
}
