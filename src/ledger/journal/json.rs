//! Writes a decision as JSON: byte for byte what `serde_json` writes, in half the time, for a line of the log is mostly
//! names of fields, which need no look at each of their bytes. Knows the shapes that a decision has, and no others.

use serde::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer,
};
use serde_json::Error;

/// Adds `value` to `text`.
///
/// # Errors
/// It has a shape that no decision has.
pub(super) fn write(text: &mut Vec<u8>, value: &impl Serialize) -> Result<(), Error> {
    value.serialize(Json(text))
}

struct Json<'t>(&'t mut Vec<u8>);

/// A list or an object that is not closed yet.
struct Open<'t> {
    text: &'t mut Vec<u8>,
    close: u8,
    is_empty: bool,
}

impl<'t> Json<'t> {
    fn open(self, open: u8, close: u8) -> Open<'t> {
        self.0.push(open);
        Open { text: self.0, close, is_empty: true }
    }

    fn unknown<T>() -> Result<T, Error> {
        Err(Error::custom("no decision has this shape"))
    }
}

impl Open<'_> {
    fn comma(&mut self) {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.text.push(b',');
        }
    }
}

/// Numbers are written as `serde_json` writes them, by it.
macro_rules! numbers {
    ($($serialize:ident: $number:ty),*) => {
        $(fn $serialize(self, number: $number) -> Result<(), Error> {
            serde_json::to_writer(self.0, &number)
        })*
    };
}

impl<'t> Serializer for Json<'t> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Open<'t>;
    type SerializeMap = Open<'t>;
    type SerializeStruct = Open<'t>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    numbers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64
    );

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        // Without a way out of the loop it looks at many bytes at once.
        let is_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if value.bytes().fold(false, |any, byte| any | is_escaped(byte)) {
            return serde_json::to_writer(self.0, value);
        }
        self.0.push(b'"');
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'t>, Error> {
        Ok(self.open(b'[', b']'))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'t>, Error> {
        Ok(self.open(b'{', b'}'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'t>, Error> {
        Ok(self.open(b'{', b'}'))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Error> {
        Self::unknown()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        Self::unknown()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Error> {
        Self::unknown()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Self::unknown()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Self::unknown()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        Self::unknown()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Self::unknown()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Self::unknown()
    }
}

impl SerializeSeq for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.comma();
        value.serialize(Json(self.text))
    }

    fn end(self) -> Result<(), Error> {
        self.text.push(self.close);
        Ok(())
    }
}

/// Keys are texts.
impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.comma();
        key.serialize(Json(self.text))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.text.push(b':');
        value.serialize(Json(self.text))
    }

    fn end(self) -> Result<(), Error> {
        self.text.push(self.close);
        Ok(())
    }
}

/// Names of fields are words of ours.
impl SerializeStruct for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.comma();
        self.text.push(b'"');
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"\":");
        value.serialize(Json(self.text))
    }

    fn end(self) -> Result<(), Error> {
        self.text.push(self.close);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;

    #[derive(Debug, Serialize)]
    struct Shape {
        word: String,
        letter: char,
        counts: (),
        yes: bool,
        some: Option<i64>,
        none: Option<u16>,
        numbers: Vec<f64>,
        map: BTreeMap<String, u64>,
        inner: Vec<Inner>,
    }

    #[derive(Debug, Serialize)]
    struct Inner {
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
        word: String,
    }

    fn numbers() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>(),
            any::<u64>().prop_map(|count| count as f64 / 1e3),
            (0..10_000_000_u32).prop_map(|count| f64::from(count) / 1e3),
            (0..10_000_000_u32).prop_map(|count| f64::from(count) / 1e6),
            Just(-0.0),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn it_is_what_serde_json_writes(
            word in any::<String>(),
            letter in any::<char>(),
            yes in any::<bool>(),
            some in any::<Option<i64>>(),
            numbers in prop::collection::vec(numbers(), 0..6),
            map in prop::collection::btree_map(any::<String>(), any::<u64>(), 0..4),
            inner in prop::collection::vec((any::<Option<u8>>(), any::<String>()), 0..3),
        ) {
            let inner = inner.into_iter().map(|(left_out, word)| Inner { left_out, word }).collect();
            let shape = Shape { word, letter, counts: (), yes, some, none: None, numbers, map, inner };
            let mut text = Vec::new();
            super::write(&mut text, &shape).expect("it knows them");
            prop_assert_eq!(String::from_utf8(text).expect("a text"), serde_json::to_string(&shape).expect("JSON"));
        }
    }

    #[test]
    fn what_no_decision_has_is_an_error_and_no_nonsense() {
        assert!(super::write(&mut Vec::new(), &(1, 2)).is_err());
        assert!(super::write(&mut Vec::new(), &std::time::Duration::ZERO).is_ok());
        assert!(super::write(&mut Vec::new(), &Ok::<u8, u8>(1)).is_err());
    }
}
