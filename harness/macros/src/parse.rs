//! Parses `key = value` and `key(value, ..)` with their spans, without checking their meaning.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Ident, Lit, Token, parenthesized};

/// The arguments of the attribute.
pub(crate) struct Args(pub(crate) Vec<Arg>);

/// One argument.
pub(crate) struct Arg {
    pub(crate) key: Ident,
    /// At least one.
    pub(crate) values: Vec<Value>,
}

/// One value: a word or a literal.
pub(crate) enum Value {
    Word(Ident),
    Literal(Lit),
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self(Punctuated::<Arg, Token![,]>::parse_terminated(input)?.into_iter().collect()))
    }
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = input.call(Ident::parse_any)?;
        if input.peek(syn::token::Paren) {
            let list;
            let parens = parenthesized!(list in input);
            let values: Vec<_> =
                Punctuated::<Value, Token![,]>::parse_terminated(&list)?.into_iter().collect();
            if values.is_empty() {
                return Err(syn::Error::new(parens.span.join(), format!("`{key}` needs a value")));
            }
            return Ok(Self { key, values });
        }
        if !input.peek(Token![=]) {
            return Err(syn::Error::new(
                key.span(),
                format!("write `{key} = value` or `{key}(value, ..)`"),
            ));
        }
        input.parse::<Token![=]>()?;
        if input.peek(syn::token::Bracket) {
            return Err(input.error(format!("write several values as `{key}(value, ..)`")));
        }
        Ok(Self { key, values: vec![input.parse()?] })
    }
}

impl Parse for Value {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Lit) {
            input.parse().map(Self::Literal)
        } else {
            input.call(Ident::parse_any).map(Self::Word)
        }
    }
}

impl Value {
    /// The text as the user wrote it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Word(word) => word.to_string(),
            Self::Literal(literal) => literal.to_token_stream().to_string(),
        }
    }

    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Word(word) => word.span(),
            Self::Literal(literal) => literal.span(),
        }
    }
}

impl ToTokens for Value {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Word(word) => word.to_tokens(tokens),
            Self::Literal(literal) => literal.to_tokens(tokens),
        }
    }
}
