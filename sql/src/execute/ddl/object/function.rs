//! Functions: made, replaced, altered, moved.

use super::Change;
use crate::catalog::Oid;
use crate::catalog::access::Object;
use crate::catalog::comment::Commented;
use crate::catalog::object::{FunctionDescriptor, ObjectBody, ObjectDescriptor};
use crate::error::{Error, Result};
use crate::plan::FunctionChange;

impl Change<'_, '_> {
    pub(super) async fn change_function(&mut self, change: &FunctionChange) -> Result<()> {
        match change {
            FunctionChange::Create { oid: Some(oid), schema, name, function }
            | FunctionChange::Alter { oid, schema, name, function, .. } => {
                self.put_function(*oid, schema, name, function)
            }
            FunctionChange::Create { oid: None, schema, name, function } => {
                let oid = self.oid().await?;
                self.put_function(oid, schema, name, function)?;
                self.own(Object::Function(oid), None)
            }
        }
    }

    fn put_function(
        &mut self,
        oid: Oid,
        schema: &str,
        name: &str,
        function: &FunctionDescriptor,
    ) -> Result<()> {
        self.put_object(ObjectDescriptor {
            oid,
            schema: schema.to_owned(),
            name: name.to_owned(),
            body: ObjectBody::Function(Box::new(function.clone())),
        })
    }

    /// Gives a function another schema, which its own has been renamed to.
    pub(super) fn place_function(&mut self, oid: Oid, schema: &str) -> Result<()> {
        let object = self.catalog.objects().get(oid).ok_or_else(|| Error::internal("a function is gone"))?;
        let mut object = ObjectDescriptor::clone(object);
        schema.clone_into(&mut object.schema);
        self.put_object(object)
    }

    pub(super) fn drop_function(&mut self, oid: Oid) {
        self.forget_comments(Commented::FUNCTION, oid);
        self.remove_object(oid);
        self.disown(Object::Function(oid));
    }
}
