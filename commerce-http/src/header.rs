//! Request headers as parameters of operations.

/// Makes a type a header parameter: `header_parameter!(Type, |request| poem::Result<Self>)`. The operation names the header.
macro_rules! header_parameter {
    ($ty:ty, |$request:ident| $read:expr) => {
        impl<'a> poem_openapi::ApiExtractor<'a> for $ty {
            const TYPES: &'static [poem_openapi::ApiExtractorType] = &[poem_openapi::ApiExtractorType::Parameter];
            type ParamType = String;
            type ParamRawType = String;

            fn param_in() -> Option<poem_openapi::registry::MetaParamIn> {
                Some(poem_openapi::registry::MetaParamIn::Header)
            }

            fn param_schema_ref() -> Option<poem_openapi::registry::MetaSchemaRef> {
                Some(<String as poem_openapi::types::Type>::schema_ref())
            }

            async fn from_request(
                $request: &'a poem::Request,
                _body: &mut poem::RequestBody,
                _options: poem_openapi::ExtractParamOptions<String>,
            ) -> poem::Result<Self> {
                $read
            }
        }
    };
}

pub(crate) use header_parameter;
