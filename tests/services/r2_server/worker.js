export default { fetch: () => new Response("nothing but the bucket is of use here") };
