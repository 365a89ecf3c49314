/// Declares a seam: a trait that implementers write with plain `async fn`, and
/// its boxed twin, so that the engine holds an `Arc<dyn …>` and no generic
/// parameter spreads. Every implementer of the first implements the second.
macro_rules! seam {
    (
        $(#[$meta:meta])*
        pub trait $name:ident / $twin:ident {
            $( $(#[$method_meta:meta])* async fn $method:ident(&self $(, $arg:ident: $type:ty)* $(,)?) -> $output:ty; )+
        }
    ) => {
        $(#[$meta])*
        pub trait $name: Send + Sync + 'static {
            $(
                $(#[$method_meta])*
                fn $method(&self $(, $arg: $type)*) -> impl Future<Output = $output> + Send;
            )+
        }

        #[doc = concat!("The object-safe twin of [`", stringify!($name), "`], implemented for every implementer of it.")]
        pub trait $twin: Send + Sync + 'static {
            $(
                #[doc = concat!("[`", stringify!($name), "::", stringify!($method), "`], boxed.")]
                fn $method(&self $(, $arg: $type)*) -> futures_util::future::BoxFuture<'_, $output>;
            )+
        }

        impl<T: $name> $twin for T {
            $(
                fn $method(&self $(, $arg: $type)*) -> futures_util::future::BoxFuture<'_, $output> {
                    Box::pin(<T as $name>::$method(self $(, $arg)*))
                }
            )+
        }
    };
}

pub(crate) use seam;
