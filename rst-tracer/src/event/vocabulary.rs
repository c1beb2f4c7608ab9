//! How a closed vocabulary of the contract is declared.
//!
//! In: an enum with the fixed name of each value. Out: serde, schema, `id()`, and the way back
//! from a name, for the filters of the command line.

use std::fmt;

/// A name that is not in a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// What was given.
    pub given: String,
    /// The names that would have been understood.
    pub known: Vec<&'static str>,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not one of {}", self.given.escape_debug(), self.known.join(", "))
    }
}

impl std::error::Error for UnknownName {}

/// Declares a closed vocabulary: the enum, its fixed names, and the way back from a name.
macro_rules! vocabulary {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $id:literal,)+ }) => {
        $(#[$about])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
            ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema,
        )]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $id)] $value,)+
        }

        impl $name {
            /// Every value, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$value,)+];

            /// The fixed name in the contract.
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$value => $id,)+
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.id())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::event::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|v| v.id() == name).ok_or_else(|| Self::Err {
                    given: name.to_owned(),
                    known: Self::ALL.iter().map(|v| v.id()).collect(),
                })
            }
        }
    };
}
pub(crate) use vocabulary;
