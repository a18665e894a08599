//! Settings: what SET changes and SHOW tells.

/// What a client's startup packet says.
#[derive(Debug, Clone, Default)]
pub struct SessionParameters {
    /// The user.
    pub user: String,
    /// The database; empty means the user's name.
    pub database: String,
    /// All other parameters of the startup packet, `application_name` and `client_encoding` among them.
    pub settings: Vec<(String, String)>,
}
