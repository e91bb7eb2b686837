//! VC01xx: the document does not follow the domain format.
super::codes! {
    /// Codes of the schema and of binding.
    schema {
        UNKNOWN_ELEMENT = "VC0101" "unknown-element" "The format knows no such element at this place.";
        UNKNOWN_ATTRIBUTE = "VC0102" "unknown-attribute" "The format knows no such attribute on this element.";
        WRONG_VALUE = "VC0103" "wrong-value" "The value is not one that the format allows here.";
        MISSING_ATTRIBUTE = "VC0104" "missing-attribute" "The format requires an attribute that is not there.";
        MISSING_ELEMENT = "VC0105" "missing-element" "The format requires an element that is not there.";
        DUPLICATE = "VC0106" "duplicate-element" "The element may stand here only once.";
        UNEXPECTED_TEXT = "VC0107" "unexpected-text" "This element holds no text.";
    }
}
